"""Two writers of one prefix, a reader beside a writer, a delete beside both: at every operation, and at full speed."""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.errors import (
    CheckpointNotFoundError,
    CommitConflictError,
    ObjectChangedError,
    PreconditionFailedError,
)
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location
from tests.faults.hooked import HookedStore
from tests.faults.states import delete, files, held, named, number_of, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD, FIRST, SECOND = 1, 2, 3
STARTS = [pytest.param(None, id="fresh"), pytest.param(OLD, id="overwrite")]


def another(place: Location) -> Location:
    """The same prefix, as another process would open it."""
    return Location(LocalStore(fsync=False), place.key) if isinstance(place.store, LocalStore) else place


def interrupted(place: Location, start: int | None, intruder: Callable[[], object]) -> Iterator[Location]:
    """A prefix in which the intruder comes before the N-th operation, for N from 1 until there is no N-th."""
    for number in count(1):
        place.store.delete(files(place))
        if start is not None:
            save_tree(place, state(start))
        came = []

        def come(at: int, name: str, number: int = number, came: list[int] = came) -> None:
            if at == number:
                came.append(at)
                intruder()

        yield Location(HookedStore(place.store, before=come), place.key)
        if not came:
            return


@pytest.mark.parametrize("start", STARTS)
def test_the_writer_that_comes_between_wins(place: Location, start: int | None) -> None:
    conflicts = committed = 0
    for hooked in interrupted(place, start, lambda: save_tree(another(place), state(SECOND))):
        try:
            save_tree(hooked, state(FIRST))
        except CommitConflictError:
            conflicts += 1
            assert held(place) == SECOND
        else:
            committed += 1
            assert held(place) in {FIRST, SECOND}
        assert files(place) == named(place)
    assert conflicts >= 4
    assert committed >= 2


@pytest.mark.parametrize("start", STARTS)
def test_a_delete_that_comes_between(place: Location, start: int | None) -> None:
    for hooked in interrupted(place, start, lambda: delete(another(place))):
        try:
            save_tree(hooked, state(FIRST))
        except CommitConflictError:
            assert held(place) is None
        else:
            assert held(place) in {FIRST, None}
        assert files(place) == named(place)


def test_a_delete_does_not_take_what_was_saved_meanwhile(place: Location) -> None:
    refused = 0
    for hooked in interrupted(place, OLD, lambda: save_tree(another(place), state(SECOND))):
        try:
            delete(hooked)
        except PreconditionFailedError:
            refused += 1
            assert held(place) == SECOND
        else:
            assert held(place) in {SECOND, None}
        assert files(place) == named(place)
    assert refused == 1


def replace(place: Location) -> None:
    save_tree(another(place), state(SECOND))


def delete_and_save_again(place: Location) -> None:
    """The names of the data files come back."""
    other = another(place)
    delete(other)
    save_tree(other, state(SECOND))
    assert any(key.endswith("data-00000-of-00001") for key in files(place))


@pytest.mark.parametrize("change", [replace, delete_and_save_again])
@pytest.mark.parametrize("listed_before", [False, True], ids=["", "with a listing from before"])
def test_a_reader_gets_the_old_or_the_new(
    place: Location, change: Callable[[Location], None], listed_before: bool
) -> None:
    found = set()
    for hooked in interrupted(place, OLD, lambda: change(place)):
        listing = list_prefix(place) if listed_before else None
        found.add(number_of(load_tree(hooked, files=listing)))
    assert found == {OLD, SECOND}


@pytest.mark.parametrize("change", [replace, delete_and_save_again])
def test_a_listing_older_than_the_checkpoint_is_no_damage(place: Location, change: Callable[[Location], None]) -> None:
    save_tree(place, state(OLD))
    listing = list_prefix(place)
    change(place)
    assert number_of(load_tree(place, files=listing)) == SECOND


def test_a_reader_says_when_the_checkpoint_is_gone(place: Location) -> None:
    outcomes = set()
    for hooked in interrupted(place, OLD, lambda: delete(another(place))):
        try:
            outcomes.add(number_of(load_tree(hooked)))
        except CheckpointNotFoundError:
            outcomes.add(None)
    assert outcomes == {OLD, None}


def test_a_reader_that_never_comes_to_an_end_says_so(place: Location) -> None:
    save_tree(place, state(OLD))
    reads = []

    def read(checkpoint: Any) -> None:
        reads.append(checkpoint)
        replace(place)

    with pytest.raises(ObjectChangedError, match="was replaced 5 times while it was read"):
        read_consistently(place, read)
    assert len(reads) == 5


@pytest.mark.parametrize("start", STARTS)
def test_writers_in_lockstep(place: Location, start: int | None) -> None:
    """Both do their first operation, then both their second, and so on: never more than one wins a round."""
    for offset in range(4):
        place.store.delete(files(place))
        if start is not None:
            save_tree(place, state(start))
        outcomes = race(place, offset)
        winners = [number for number, error in outcomes.items() if error is None]
        assert all(isinstance(error, CommitConflictError | None) for error in outcomes.values()), outcomes
        # Losing the create of a data file can hit both writers of a fresh prefix.
        assert held(place) == winners[-1] if winners else held(place) in {start, FIRST, SECOND}
        assert len(winners) <= 1
        assert files(place) == named(place)


def race(place: Location, offset: int) -> dict[int, BaseException | None]:
    """What became of two saves side by side, the second `offset` operations behind."""
    barrier = threading.Barrier(2)
    outcomes: dict[int, BaseException | None] = {}

    def step(number: int, name: str) -> None:
        with suppress(threading.BrokenBarrierError):  # the other one has ended, or is in threads of its own
            barrier.wait(timeout=0.2)

    def save(number: int) -> None:
        ahead = offset if number == SECOND else 0
        store = HookedStore(another(place).store, before=lambda at, name: step(at, name) if at > ahead else None)
        try:
            save_tree(Location(store, place.key), state(number))
            outcomes[number] = None
        except BaseException as error:  # noqa: BLE001 - the test fails with it
            outcomes[number] = error
        finally:
            barrier.abort()

    threads = [threading.Thread(target=save, args=(number,)) for number in (FIRST, SECOND)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_writers_and_readers_at_full_speed(place: Location) -> None:
    save_tree(place, state(100))
    stop, failures = threading.Event(), []

    def write(base: int) -> None:
        for number in range(base, base + 15):
            try:
                save_tree(another(place), state(number))
            except CommitConflictError:
                continue
            except BaseException as error:  # noqa: BLE001 - the test fails with it
                failures.append(error)
                return

    def read() -> None:
        while not stop.is_set():
            try:
                assert number_of(load_tree(another(place))) >= 100
            except ObjectChangedError:
                continue  # replaced five times in a row
            except BaseException as error:  # noqa: BLE001 - the test fails with it
                failures.append(error)
                return

    writers = [threading.Thread(target=write, args=(base,)) for base in (200, 300)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in (*writers, *readers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert failures == []
    assert held(place) >= 100
    assert files(place) == named(place)
