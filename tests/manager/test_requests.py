"""What each call costs, counted at the store: these numbers are in the docstrings."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.objects.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, tree


class Requests:
    """A directory whose store counts what is asked of it."""

    def __init__(self) -> None:
        self.run = MemoryRun()
        self.store = FaultyStore(self.run.store, 0)

    def of(self, call: Any, *arguments: Any, **options: Any) -> list[str]:
        """The operations of one call, in their order, each with the name of its file."""
        before = len(self.store.operations)
        call(*arguments, **options)
        return self.store.operations[before:]


@pytest.fixture
def requests() -> Requests:
    return Requests()


def test_saving_one_checkpoint(requests: Requests) -> None:
    prefix = Location(requests.store, "run/ckpt-1")
    assert requests.of(save_tree, prefix, tree(1)) == [
        "list ckpt-1.",
        "create ckpt-1.data-00000-of-00001",
        "write ckpt-1.data-00000-of-00001",
        "complete ckpt-1.data-00000-of-00001",
        "put ckpt-1.index",
    ]


def test_a_large_checkpoint_adds_a_request_a_part(requests: Requests) -> None:
    parts = 3
    large = {"w": np.zeros(parts * (8 << 20) - 4096, np.uint8)}
    count = Counter(each.split()[0] for each in requests.of(save_tree, Location(requests.store, "run/ckpt-1"), large))
    assert count == {"list": 1, "create": 1, "write": parts, "complete": 1, "put": 1}


def test_replacing_adds_a_get_of_the_old_index_and_one_batch_of_deletes(requests: Requests) -> None:
    prefix = Location(requests.store, "run/ckpt-1")
    save_tree(prefix, tree(1))
    names = [each.partition(".data")[0] for each in requests.of(save_tree, prefix, tree(1))]
    assert names == [
        "list ckpt-1.",
        "get ckpt-1.index",
        *[f"{each} ckpt-1" for each in ("create", "write", "complete")],
        "put ckpt-1.index",
        "delete ckpt-1",
    ]


def test_a_manager_s_first_save_looks_at_the_directory_and_puts_the_state(requests: Requests) -> None:
    with requests.run.manager(requests.store) as manager:
        first = requests.of(manager.save, 1, tree(1))
        assert [*first[:2], first[-1]] == ["get checkpoint", "list ckpt-", "put checkpoint"]
        assert [each.split()[0] for each in first[2:-1]] == ["list", "create", "write", "complete", "put"]


def test_each_later_save_adds_a_put_of_the_state(requests: Requests) -> None:
    with requests.run.manager(requests.store) as manager:
        manager.save(1, tree(1))
        later = requests.of(manager.save, 2, tree(2))
        assert [each.split()[0] for each in later] == ["list", "create", "write", "complete", "put", "put"]
        assert later[-1] == "put checkpoint"


def test_no_further_look_before_the_first_save_after_a_restore(requests: Requests) -> None:
    with requests.run.manager() as manager:
        manager.save(1, tree(1))
    with requests.run.manager(requests.store) as manager:
        manager.restore_latest()
        assert {"get checkpoint", "list ckpt-"}.isdisjoint(requests.of(manager.save, 2, tree(2)))
        manager.restore(2)
        assert {"get checkpoint", "list ckpt-"}.isdisjoint(requests.of(manager.save, 3, tree(3)))


def test_a_retired_step_costs_a_get_a_delete_and_a_batch_of_deletes(requests: Requests) -> None:
    with requests.run.manager(requests.store, max_to_keep=1) as manager:
        manager.save(1, tree(1))
        assert requests.of(manager.save, 2, tree(2))[5:] == [
            "get ckpt-1.index",
            "put checkpoint",
            "delete_if_version ckpt-1.index",
            "delete ckpt-1.data-00000-of-00001",
        ]
        # What is gone costs nothing more.
        assert "get ckpt-1.index" not in requests.of(manager.save, 3, tree(3))


def test_going_back_adds_a_put_of_the_state(requests: Requests) -> None:
    with requests.run.manager(requests.store) as manager:
        for step in (1, 5):
            manager.save(step, tree(step))
        back = requests.of(manager.save, 2, tree(2))
        assert [each.split()[0] for each in back] == ["list", "create", "write", "complete", "put", "put", "put"]
        assert back[-3:] == ["put checkpoint", "put ckpt-2.index", "put checkpoint"]


def restored(requests: Requests, **options: Any) -> list[str]:
    with requests.run.manager() as manager:
        for step in (1, 2):
            manager.save(step, tree(step))
    with requests.run.manager(requests.store) as manager:
        return requests.of(manager.restore_latest, **options)


def test_restoring_the_latest_is_three_requests_before_the_first_data(requests: Requests) -> None:
    asked = restored(requests)
    assert asked[:3] == ["get checkpoint", "list ckpt-", "get ckpt-2.index"]
    assert asked[3] == "read ckpt-2.data-00000-of-00001"
    assert {each.split()[0] for each in asked[3:]} == {"read", "stat"}
    assert asked.count("stat ckpt-2.index") == 1


def test_latest_step_reads_no_data(requests: Requests) -> None:
    restored(requests)
    with requests.run.manager(requests.store) as manager:
        assert requests.of(manager.latest_step) == ["get checkpoint", "list ckpt-", "get ckpt-2.index"]
        assert requests.of(manager.all_steps) == ["get checkpoint", "list ckpt-"]


def test_one_passed_over_costs_three_requests(requests: Requests) -> None:
    restored(requests)
    requests.run.store.delete(["run/ckpt-2.data-00000-of-00001"])
    with requests.run.manager(requests.store) as manager, pytest.warns(ckpt.RecoveryWarning, match="step 2"):
        asked = requests.of(manager.restore_latest)
    assert asked[:2] == ["get checkpoint", "list ckpt-"]
    assert asked[2:6] == ["get ckpt-2.index", "list ckpt-2.", "stat ckpt-2.index", "get ckpt-1.index"]


def test_an_empty_directory_costs_a_get_and_a_list(requests: Requests) -> None:
    with requests.run.manager(requests.store) as manager:
        assert requests.of(manager.restore_latest, default=None) == ["get checkpoint", "list ckpt-"]


def test_the_latest_checkpoint_is_a_get_and_a_head(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    restored(requests)
    location = Location(requests.store, "run")
    monkeypatch.setattr("cloudckpt.state.latest.open_location", Mock(return_value=location))
    assert requests.of(ckpt.latest_checkpoint, "run") == ["get checkpoint", "stat ckpt-2.index"]
    requests.run.store.delete(["run/checkpoint"])
    assert requests.of(ckpt.latest_checkpoint, "run") == ["get checkpoint", "list checkpoint"]
