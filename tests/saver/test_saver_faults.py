"""Saves that fail, and saves that another writer overtakes: what is left is whole, and the saver knows it."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import CommitConflictError, StorageError
from cloudckpt.saver.saver import Saver
from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore
from tests.saver.graphs import session_with, stored, variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.variables.sessions.session import Session


@pytest.fixture
def run() -> str:
    return f"memory://{uuid.uuid4().hex}/run"


class Failing:
    """Opens prefixes through a store whose N-th operation of each save fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fail_at = 0
        self.store: FaultyStore | None = None
        monkeypatch.setattr("cloudckpt.saver.saver.open_prefix", self.opened)

    def opened(self, path: Any, options: Any) -> Location:
        location = open_location(path, options)
        self.store = FaultyStore(location.store, self.fail_at)
        return Location(self.store, location.key)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


def operations_of_a_save(failing: Failing, saver: Saver, session: Session, run: str, step: int) -> list[str]:
    saver.save(session, f"{run}/model", global_step=step)
    assert failing.store is not None
    return failing.store.operations


def test_data_then_index_then_meta_graph_then_state_then_deletions(failing: Failing, run: str) -> None:
    with session_with(w=1.0) as (session, _):
        saver = Saver(max_to_keep=1)
        operations_of_a_save(failing, saver, session, run, 1)
        operations = operations_of_a_save(failing, saver, session, run, 2)
    changes = [each for each in operations if each.split()[0] in {"complete", "put", "delete", "delete_if_version"}]
    assert changes[:4] == [
        "complete model-2.data-00000-of-00001",
        "put model-2.index",
        "put model-2.meta",
        "put checkpoint",
    ]
    assert changes[4].split() == ["delete_if_version", "model-1.index"]
    assert all("model-1" in each for each in changes[4:])


def test_every_operation_may_fail(failing: Failing, run: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with session_with(w=1.0) as (session, variables):
        saver = Saver(max_to_keep=1)
        count = len(operations_of_a_save(failing, saver, session, run, 0))
        for number in range(1, count + 6):
            before = saver.last_checkpoints
            session.run(variables["w"].assign(float(number)))
            failing.fail_at = number
            try:
                saver.save(session, f"{run}/model", global_step=number)
            except StorageError:
                failing.fail_at = 0
                saved = f"{run}/model-{number}"
                assert saver.last_checkpoints in (before, [saved])
                if saver.last_checkpoints == [saved]:  # it failed at the state file: the checkpoint is there
                    assert stored(saved) == {"w": float(number)}
                else:
                    assert "w" in stored(before[0])
                saver.save(session, saved)
            failing.fail_at = 0
            assert stored(f"{run}/model-{number}") == {"w": float(number)}


@pytest.mark.parametrize("what", ["create", "complete", "put"])
def test_a_failed_write_leaves_last_checkpoints_as_they_were(failing: Failing, run: str, what: str) -> None:
    with session_with(w=1.0) as (session, _):
        saver = Saver()
        operations = operations_of_a_save(failing, saver, session, run, 1)
        before = saver.last_checkpoints
        failing.fail_at = 1 + next(number for number, each in enumerate(operations) if each.startswith(f"{what} "))
        with pytest.raises(StorageError):
            saver.save(session, f"{run}/model", global_step=2)
        assert saver.last_checkpoints == before


def meddling(monkeypatch: pytest.MonkeyPatch, operation: str, meddle: Callable[[], None]) -> None:
    """Let another writer act before the first operation of that name."""
    done: list[str] = []

    class Meddled(FaultyStore):
        def operation(self, name: str, key: str, half: Callable[[], object] = lambda: None) -> Any:
            if f"{name} {key.rpartition('/')[2]}" == operation and not done:
                done.append(operation)
                meddle()
            return super().operation(name, key, half)

    def opened(path: Any, options: Any) -> Location:
        location = open_location(path, options)
        return Location(Meddled(location.store, 0), location.key)

    monkeypatch.setattr("cloudckpt.saver.saver.open_prefix", opened)


def test_another_writer_of_the_prefix_is_a_conflict(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    saver = Saver([variable("w", 1.0)])

    def meddle() -> None:
        with open_location(f"{run}/model") as location:
            save_tensors(location, {"w": np.array(9.0)}, reuse_names=False)

    meddling(monkeypatch, "put model.index", meddle)
    with pytest.raises(CommitConflictError) as raised:
        saver.save(None, f"{run}/model")
    assert raised.value.committed is None
    assert saver.last_checkpoints == []
    assert stored(f"{run}/model") == {"w": 9.0}


def test_another_writer_of_the_state_is_met_by_writing_again(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    saver, other = Saver([variable("w", 1.0)]), Saver([variable("w", 2.0)])
    saver.save(None, f"{run}/model", global_step=1)
    meddling(monkeypatch, "put checkpoint", lambda: other_save(other, run))
    assert saver.save(None, f"{run}/model", global_step=2) == f"{run}/model-2"
    assert saver.last_checkpoints == [f"{run}/model-1", f"{run}/model-2"]
    assert stored(f"{run}/other") == {"w": 2.0}


def other_save(saver: Saver, run: str) -> None:
    saver.save(None, f"{run}/other")


def test_a_state_that_is_lost_again_and_again_leaves_the_checkpoint(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Any, options: Any) -> Location:
        location = open_location(path, options)
        return Location(Swapped(location.store, 0), location.key)

    class Swapped(FaultyStore):
        """Another program writes the state just before each write of this one."""

        def put(self, key: str, data: Any, condition: Any, **options: Any) -> Any:
            if key.endswith("/checkpoint"):
                self._inner.put(key, b"", Always(), crc32c=0)
            return super().put(key, data, condition, **options)

    monkeypatch.setattr("cloudckpt.saver.saver.open_prefix", opened)
    saver = Saver([variable("w", 1.0)])
    with pytest.raises(CommitConflictError) as raised:
        saver.save(None, f"{run}/model")
    assert raised.value.committed == f"{run}/model"
    assert stored(f"{run}/model") == {"w": 1.0}
    assert saver.last_checkpoints == [f"{run}/model"]


def test_the_state_is_read_at_each_write(run: str) -> None:
    one, other = Saver([variable("w", 1.0)]), Saver([variable("w", 2.0)])
    for step in range(3):
        one.save(None, f"{run}/one", global_step=step)
        other.save(None, f"{run}/other", global_step=step)
    assert stored(f"{run}/one-2") == {"w": 1.0}
    assert stored(f"{run}/other-2") == {"w": 2.0}
