"""Fail the N-th operation of a save or load, for N from 1 until it passes: the old checkpoint is whole, or the new."""

from __future__ import annotations

import errno
from itertools import count
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import CloudckptError, CommitConflictError, StorageError
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.faults.states import files, held, named, number_of, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.testing.faults import Mode

OLD, NEW = 1, 2
STARTS = [pytest.param(None, id="fresh"), pytest.param(OLD, id="overwrite")]
MODES = ["before", "during", "after"]


def attempts(
    place: Location, start: int | None, mode: Mode, error: type[BaseException] | None, forever: bool
) -> Iterator[tuple[FaultyStore, BaseException | None]]:
    """Saves of NEW over `start`, the N-th operation of each failing; yields what became of it until nothing fails."""
    for number in count(1):
        place.store.delete(files(place))
        if start is not None:
            save_tree(place, state(start))
        cause = None if error is None else error("an injected fault")
        store = FaultyStore(place.store, number, mode, forever, cause)
        try:
            save_tree(Location(store, place.key), state(NEW))
        except (CloudckptError, Crash) as raised:
            yield store, raised
        else:
            yield store, None
            if not store.failed:
                return


@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [None, Crash, StorageError], ids=["transient", "crash", "permanent"])
@pytest.mark.parametrize("start", STARTS)
def test_a_save_is_whole_or_not_there(
    place: Location, start: int | None, error: type[BaseException] | None, mode: Mode, forever: bool
) -> None:
    outcomes = set()
    for store, raised in attempts(place, start, mode, error, forever):
        found = held(place)
        assert found == NEW if raised is None else found in {start, NEW}, store.operations
        assert named(place) <= files(place)
        outcomes.add((raised is None, found))
    assert outcomes >= {(True, NEW), (False, start)}


@pytest.mark.parametrize("start", STARTS)
def test_a_definite_failure_leaves_nothing_behind(place: Location, start: int | None) -> None:
    failures = 0
    for store, raised in attempts(place, start, "before", StorageError, forever=False):
        if raised is not None:
            failures += 1
            assert files(place) == named(place), store.operations
            assert held(place) == start
    assert failures >= 6


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("error", [None, StorageError], ids=["transient", "permanent"])
def test_an_unknown_commit_deletes_nothing(
    place: Location, start: int | None, error: type[BaseException] | None
) -> None:
    """The index was written and the answer was lost, or the disk failed right after: the new data must stay."""
    for store, raised in attempts(place, start, "after", error, forever=False):
        if raised is not None and "put ckpt.index" in store.operations:
            assert held(place) == NEW, store.operations
            return
    pytest.fail("no commit failed")


@pytest.mark.parametrize("start", STARTS)
def test_after_any_crash_the_next_save_works(place: Location, start: int | None) -> None:
    for mode in MODES:
        for _, raised in attempts(place, start, mode, Crash, forever=True):
            save_tree(place, state(3))
            assert held(place) == 3
            if raised is None:
                assert files(place) == named(place)


def test_old_data_that_can_not_be_deleted_is_no_failure(place: Location) -> None:
    for mode in MODES:
        *_, (store, raised), _ = attempts(place, OLD, mode, StorageError, forever=False)
        assert raised is None
        assert store.operations[-1].startswith("delete ckpt.data-00000-of-00001")
        assert held(place) == NEW


@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [None, StorageError], ids=["transient", "permanent"])
def test_a_load_is_right_or_raises(
    place: Location, error: type[BaseException] | None, mode: Mode, forever: bool
) -> None:
    save_tree(place, state(OLD))
    before = files(place)
    failures = 0
    for number in count(1):
        store = FaultyStore(place.store, number, mode, forever, None if error is None else error("an injected fault"))
        try:
            assert number_of(load_tree(Location(store, place.key))) == OLD
        except CloudckptError:
            failures += 1
        if not store.failed:
            break
    assert failures >= 5
    assert files(place) == before


def test_an_error_keeps_its_class_and_cause(place: Location) -> None:
    cause = OSError(errno.EIO, "the disk reports a fault")
    error = StorageError("an injected fault")
    error.__cause__ = cause
    with pytest.raises(StorageError) as caught:
        save_tree(Location(FaultyStore(place.store, 3, error=error), place.key), state(NEW))
    assert not isinstance(caught.value, CommitConflictError)
    assert caught.value is error
