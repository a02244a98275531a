"""Fail the N-th operation of a job, for every N and in every way: what was announced is found again, and a collection
leaves exactly the committed checkpoints."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import pytest

from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.checkpoint.prefix import sort_by_prefix
from cloudckpt.errors import CloudckptError, StorageError
from cloudckpt.garbage.collect import collect_in
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore, Mode
from tests.faults.states import number_of, state
from tests.manager.runs import manager_at

if TYPE_CHECKING:
    from cloudckpt.manager.checkpoint_manager import CheckpointManager


pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.RecoveryWarning")


def save(manager: CheckpointManager, announced: list[int], *steps: int) -> None:
    for step in steps:
        manager.save(step, state(step))
        announced.append(step)


def save_first(manager: CheckpointManager, announced: list[int]) -> None:
    save(manager, announced, 1, 2, 3)


def resume_and_retire(manager: CheckpointManager, announced: list[int]) -> None:
    loaded, step = manager.restore_latest()
    assert number_of(loaded) == step
    save(manager, announced, step + 1, step + 2)


def replace(manager: CheckpointManager, announced: list[int]) -> None:
    manager.restore_latest()
    save(manager, announced, 20)


def go_back(manager: CheckpointManager, announced: list[int]) -> None:
    manager.restore(10)
    save(manager, announced, 15, 16)


def go_back_before_all(manager: CheckpointManager, announced: list[int]) -> None:
    save(manager, announced, 5)


def restore(manager: CheckpointManager, announced: list[int]) -> None:
    assert number_of(manager.restore_latest()[0]) == 20
    assert number_of(manager.restore(10)) == 10


JOBS = {
    "save first": ((), save_first),
    "resume and retire": ((10, 20), resume_and_retire),
    "replace": ((10, 20), replace),
    "go back": ((10, 20), go_back),
    "go back before all": ((10, 20), go_back_before_all),
    "restore": ((10, 20), restore),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_collection_leaves_what_is_committed(place: Location, name: str) -> None:
    """One way to fail and one to die; `place` is a prefix, of which only the folder is used."""
    fail_everywhere(place, name, "during", forever=False, error=None)
    fail_everywhere(Location(place.store, f"{place.key}-dead"), name, "after", forever=True, error=Crash())


@pytest.mark.faults
@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("mode", ["before", "during", "after"])
@pytest.mark.parametrize("error", [None, StorageError("for good"), Crash()], ids=["transient", "permanent", "crash"])
@pytest.mark.parametrize("name", JOBS)
def test_a_collection_leaves_what_is_committed_after_every_fault(
    place: Location, name: str, error: BaseException | None, mode: Mode, forever: bool
) -> None:
    fail_everywhere(place, name, mode, forever=forever, error=error)


def fail_everywhere(place: Location, name: str, mode: Mode, *, forever: bool, error: BaseException | None) -> None:
    """The N-th operation of the job, for N from 1 until there is no N-th."""
    before, job = JOBS[name]
    for number in count(1):
        directory = Location(place.store, f"{place.key}-{number}")
        announced = list(before)
        with manager_at(directory, max_to_keep=2) as manager:
            save(manager, [], *before)
        store = FaultyStore(directory.store, number, mode, forever, error)
        with manager_at(Location(store, directory.key), max_to_keep=2) as manager:
            try:
                job(manager, announced)
            except (CloudckptError, Crash):
                assert store.failed
        check(directory, announced)
        if not store.failed:
            return


def check(directory: Location, announced: list[int]) -> None:
    with manager_at(directory) as manager:
        found = manager.restore_latest(default=None)
        assert (found is None) <= (not announced)
        if found is not None:
            assert number_of(found[0]) == found[1]
    collect_in(directory, no_writers=True, min_age=0.0)
    assert all_files(directory) == committed(directory)
    with manager_at(directory) as manager:
        again = manager.restore_latest(default=None)
        assert again is None or again[1] == found[1]


def all_files(directory: Location) -> set[str]:
    """The keys of all files, temporaries included."""
    if isinstance(directory.store, LocalStore):
        there = os.listdir(directory.key) if os.path.isdir(directory.key) else []
        return {os.path.join(directory.key, name) for name in there}
    return {info.key for info in directory.store.list(directory.child("").key)}


def committed(directory: Location) -> set[str]:
    """The keys of the state, and of all indexes and what they name."""
    listing = list(directory.store.list(directory.child("").key))
    keys = {info.key for info in listing if info.key.endswith("/checkpoint")}
    for prefix, files in sort_by_prefix(listing).items():
        if files.index is not None:
            data, _ = directory.store.get(files.index.key)
            keys |= {files.index.key, *needed_data_files(prefix, decode_index(data, prefix))}
    return keys
