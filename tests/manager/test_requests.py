"""What each call costs, counted at the store: these numbers are in the docstrings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.http.client import HttpClient
from cloudckpt.storage.open import Location
from cloudckpt.stored.source import open_source
from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, tree

if TYPE_CHECKING:
    from tests.servers import ObjectServer


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


def test_the_latest_checkpoint_is_two_gets_and_a_list(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    restored(requests)
    location = Location(requests.store, "run")
    monkeypatch.setattr("cloudckpt.state.latest.open_location", Mock(return_value=location))
    assert requests.of(ckpt.latest_checkpoint, "run") == ["get checkpoint", "get ckpt-2.index", "list ckpt-2."]
    requests.run.store.delete(["run/checkpoint"])
    assert requests.of(ckpt.latest_checkpoint, "run") == ["get checkpoint", "list checkpoint"]


def test_loading_is_three_requests_and_the_ranges(requests: Requests) -> None:
    prefix = Location(requests.store, "run/ckpt-1")
    save_tree(prefix, {"w": np.arange(9.0)})
    data = "ckpt-1.data-00000-of-00001"
    asked = requests.of(load_tree, prefix, like={"w": np.zeros(9)})
    assert asked == ["get ckpt-1.index", "list ckpt-1.", f"read {data}", "stat ckpt-1.index"]
    assert requests.of(open_source, prefix) == ["get ckpt-1.index", "list ckpt-1.", "stat ckpt-1.index"]


def test_what_is_not_there_is_two_requests_and_two_for_the_message(requests: Requests) -> None:
    with requests.run.manager() as manager:
        manager.save(1, tree(1))
    for key, advice in (("run/ckpt-2", "Check the path"), ("run", r"latest_checkpoint.*CheckpointManager")):
        requests.store.operations.clear()
        with pytest.raises(ckpt.CheckpointNotFoundError, match=advice):
            load_tree(Location(requests.store, key))
        name = key.removeprefix("run/")
        assert requests.store.operations == [
            f"get {name}.index", f"stat {name}", f"list {name}-", "stat checkpoint",
        ]  # fmt: skip


def test_losing_to_another_writer_costs_one_look(requests: Requests) -> None:
    with requests.run.manager(requests.store) as loser, requests.run.manager() as winner:
        loser.restore_latest(default=None)
        winner.save(1, tree(1))
        before = len(requests.store.operations)
        with pytest.raises(ckpt.CommitConflictError):
            loser.save(1, tree(1))
        assert requests.store.operations[before:] == ["list ckpt-1.", "stat ckpt-1.index"]
        loser.restore_latest()
        winner.save(2, tree(2))
        with pytest.raises(ckpt.CommitConflictError):
            loser.save(3, tree(3))
        assert requests.store.operations[-2:] == ["put checkpoint", "get checkpoint"]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that go out over HTTP, by their methods."""
    methods: list[str] = []
    send = HttpClient.request

    def count(self: HttpClient, request: Any) -> Any:
        methods.append(request.method)
        return send(self, request)

    monkeypatch.setattr(HttpClient, "request", count)
    return methods


def test_ten_thousand_small_tensors_over_http(object_server: ObjectServer, sent: list[str]) -> None:
    """To a new prefix: a LIST, the data, the index. Back: the index, a LIST, the tree, the data, the index again."""
    options = object_server.storage_options
    small = {f"layer{number}": np.full(8, number, np.float32) for number in range(10_000)}
    ckpt.save(f"{object_server.fresh_url()}/ckpt", {}, storage_options=options)  # the probe, and the credentials
    prefix = f"{object_server.fresh_url()}/ckpt"
    sent.clear()
    ckpt.save(prefix, small, storage_options=options)
    upload = "POST" if object_server.scheme == "gs" else "PUT"
    assert sent == ["GET", upload, upload]
    sent.clear()
    loaded = ckpt.load(prefix, storage_options=options)
    head = "GET" if object_server.scheme == "gs" else "HEAD"
    assert Counter(sent) == Counter([*4 * ["GET"], head])
    assert all(loaded[name].tobytes() == array.tobytes() for name, array in small.items())


def test_a_managers_save_and_resume_over_http(object_server: ObjectServer, sent: list[str]) -> None:
    options, directory = object_server.storage_options, object_server.fresh_url()
    with ckpt.CheckpointManager(directory, max_to_keep=2, storage_options=options) as manager:
        manager.save(1, tree(1))
        sent.clear()
        manager.save(2, tree(2))
        assert len(sent) == 4  # a LIST, the data, the index, the state
        sent.clear()
        manager.save(3, tree(3))
        # And of step 1 the index read, the index deleted, the data and a side file deleted, which is a batch on S3.
        assert len(sent) == (8 if object_server.scheme == "gs" else 7)
    with ckpt.CheckpointManager(directory, storage_options=options) as manager:
        sent.clear()
        assert manager.restore_latest()[1] == 3
        assert len(sent) <= 6  # the state, a LIST, the index, two ranges, a look at the index
