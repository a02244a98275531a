"""What `train.Checkpoint` and its manager ask of the store, counted there: these numbers are in the page of costs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.train import Checkpoint, CheckpointManager

if TYPE_CHECKING:
    from collections.abc import Callable

OPENERS = ("checkpoint.prefix", "manager.train.managed_directory")
READ = ["get", "list", "read", "read", "stat"]


class Requests:
    """A run of ours, opened through stores that count what is asked of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = f"memory://{uuid.uuid4().hex}/run"
        self.checkpoint = Checkpoint(w=ckpt.Variable([1.0]))
        self._stores: list[FaultyStore] = []
        for module in OPENERS:
            monkeypatch.setattr(f"cloudckpt.{module}.open_location", self._opened)

    def _opened(self, path: Any, options: Any) -> Location:
        location = open_location(path, options)
        self._stores.append(FaultyStore(location.store, 0))
        return Location(self._stores[-1], location.key)

    def of(self, call: Callable[..., Any], *arguments: Any) -> list[str]:
        """The operations of one call, each with the name of its file; store by store, in the order of their opening."""
        self._stores.clear()
        call(*arguments)
        return [each for store in self._stores for each in store.operations]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    return Requests(monkeypatch)


def saved(name: str) -> list[str]:
    data = f"{name}.data-00000-of-00001"
    return [f"list {name}.", f"create {data}", f"write {data}", f"complete {data}", f"put {name}.index"]


def test_write_is_a_save_and_save_adds_the_state(requests: Requests) -> None:
    assert requests.of(requests.checkpoint.write, f"{requests.directory}/alone") == saved("alone")
    for name in ("ckpt-1", "ckpt-2"):
        asked = requests.of(requests.checkpoint.save, f"{requests.directory}/ckpt")
        assert asked == [*saved(name), "get checkpoint", "put checkpoint"]


def test_a_restore_reads_the_objects_and_then_their_values(requests: Requests) -> None:
    path = requests.checkpoint.save(f"{requests.directory}/ckpt")
    for restore in (requests.checkpoint.restore, requests.checkpoint.read):
        assert [each.split()[0] for each in requests.of(restore, path)] == READ


def test_the_manager_adds_the_state_and_what_it_drops(requests: Requests) -> None:
    manager = CheckpointManager(requests.checkpoint, requests.directory, max_to_keep=1)
    state = ["stat ckpt-1.index", "get checkpoint", "put checkpoint"]
    assert requests.of(manager.save) == [*state, *saved("ckpt-1")]
    assert requests.of(manager.save) == [
        "stat ckpt-2.index",
        "get checkpoint",
        "put checkpoint",
        "list ",
        "get ckpt-1.index",
        "delete_if_version ckpt-1.index",
        "delete ckpt-1.data-00000-of-00001",
        "put checkpoint",
        *saved("ckpt-2"),
    ]


def test_the_manager_looks_before_it_restores(requests: Requests) -> None:
    CheckpointManager(requests.checkpoint, requests.directory, max_to_keep=1).save()
    found: list[CheckpointManager] = []
    assert requests.of(
        lambda: found.append(CheckpointManager(requests.checkpoint, requests.directory, max_to_keep=1))
    ) == ["get checkpoint", "list ckpt-"]
    asked = requests.of(found[0].restore_or_initialize)
    assert asked[:3] == ["get checkpoint", "list ckpt-", "get ckpt-1.index"]
    assert [each.split()[0] for each in asked[3:]] == READ
