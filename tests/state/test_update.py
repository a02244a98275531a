"""Several writers of one state file: each swap that is lost is done again, and none is lost for good."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import CommitConflictError, PreconditionFailedError, StorageError
from cloudckpt.state import update
from cloudckpt.state.directory import read_state, swap_state
from cloudckpt.state.state_file import CheckpointState
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import FaultyStore
from tests.state.places import CONDITIONAL, Place, fresh_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.storage.store import ObjectInfo


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which takes any time."""
    made: list[float] = []
    monkeypatch.setattr(update, "pause", made.append)
    return made


@pytest.fixture
def directory(request: pytest.FixtureRequest) -> Iterator[Location]:
    with fresh_place("memory", request).open() as directory:
        yield directory


def named(name: str) -> CheckpointState:
    return CheckpointState(name, (name,))


class Overtaken(FaultyStore):
    """A store on which another writer swaps the state before each of the first so many writes."""

    def __init__(self, directory: Location, times: int) -> None:
        super().__init__(directory.store, 0)
        self._directory, self._times = directory, times

    def put(self, key: str, *arguments: object, **options: object) -> ObjectInfo:
        if self._times:
            self._times -= 1
            swap_state(self._directory, named(f"theirs-{self._times}"), read_state(self._directory).info)
        return super().put(key, *arguments, **options)  # type: ignore[arg-type]


def test_it_is_a_read_and_a_write(directory: Location) -> None:
    store = FaultyStore(directory.store, 0)
    update.name_checkpoints(Location(store, directory.key), "checkpoint", named("m-1"))
    assert store.operations == ["get checkpoint", "put checkpoint"]
    assert read_state(directory).state == named("m-1")


@pytest.mark.parametrize("times", [1, update.MOST_SWAPS - 1])
def test_a_lost_swap_is_done_again(directory: Location, pauses: list[float], times: int) -> None:
    store = Overtaken(directory, times)
    update.name_checkpoints(Location(store, directory.key), "checkpoint", named("m-1"))
    assert read_state(directory).state == named("m-1")
    assert len(pauses) == times
    assert all(0 <= pause <= update.FIRST_PAUSE * 2**attempt for attempt, pause in enumerate(pauses))


def test_one_that_is_always_lost_is_a_conflict(directory: Location) -> None:
    store = Overtaken(directory, update.MOST_SWAPS)
    with pytest.raises(CommitConflictError, match="'run/m-1' is committed and stays") as failure:
        update.name_checkpoints(Location(store, directory.key), "checkpoint", named("m-1"), committed="run/m-1")
    assert failure.value.committed == "run/m-1"
    assert failure.value.winner is not None
    assert isinstance(failure.value.__cause__, PreconditionFailedError)
    assert read_state(directory).state == named("theirs-0")
    with pytest.raises(CommitConflictError, match="nothing was written"):
        update.name_checkpoints(
            Location(Overtaken(directory, update.MOST_SWAPS), directory.key), "checkpoint", named("m-1")
        )


@pytest.mark.parametrize("fail_at", [1, 2])
def test_a_store_that_fails_is_an_error_and_the_file_as_it_was(directory: Location, fail_at: int) -> None:
    update.name_checkpoints(directory, "checkpoint", named("m-1"))
    with pytest.raises(StorageError):
        update.name_checkpoints(
            Location(FaultyStore(directory.store, fail_at), directory.key), "checkpoint", named("m-2")
        )
    assert read_state(directory).state == named("m-1")


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_each_of_many_writers_succeeds(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    place: Place = fresh_place(kind, request)
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            with place.open() as directory:
                for number in range(3):
                    update.name_checkpoints(directory, "checkpoint", named(f"m-{writer}-{number}"))
        except BaseException as error:  # noqa: BLE001 - the test's own thread fails for it
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with place.open() as directory:
        assert read_state(directory).state in [named(f"m-{writer}-2") for writer in range(3)]
