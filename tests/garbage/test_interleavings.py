"""A collector at any moment of whatever writes, its clock far ahead: no committed checkpoint ever loses anything.

What writes then may have lost its data, and must not commit: `CommitTimeoutError`, and what was there before is there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.merge import merge_checkpoints
from cloudckpt.checkpoint.partial import commit_partials, write_partial
from cloudckpt.checkpoint.standing import look
from cloudckpt.errors import CloudckptError, CommitTimeoutError
from cloudckpt.storage import memory
from cloudckpt.storage.store import Store
from cloudckpt.testing.faults import FaultyStore
from tests.faults.hooked import HookedStore
from tests.garbage.places import DAY, HOUR, Directory, UnconditionalMemory, committed, only_checkpoints, tensors
from tests.manager.runs import manager_at, same, tree

Work = Callable[[Directory, Store], None]
KINDS = [
    pytest.param(Directory, id="conditional"),
    pytest.param(lambda: Directory(UnconditionalMemory), id="unconditional"),
]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small save has several parts."""
    monkeypatch.setattr(memory._MemoryUpload, "part_size", 4096)


def prepare(run: Directory) -> None:
    """A checkpoint to replace, two to merge, and some garbage."""
    save_tensors(run.prefix("old"), tensors(0))
    for number in range(2):
        save_tensors(run.prefix(f"part-{number}"), {f"w{number}": tensors(number)["w"]})
    run.write("old.data-00000-of-00009", "gone.data-00000-of-00001")


def save(run: Directory, store: Store) -> None:
    save_tensors(run.prefix("new", store), tensors(1))


def overwrite(run: Directory, store: Store) -> None:
    save_tensors(run.prefix("old", store), tensors(1))


def merge(run: Directory, store: Store) -> None:
    sources = [run.prefix(f"part-{number}", store) for number in range(2)]
    merge_checkpoints(sources, run.prefix("merged", store), delete_old=False, allow_missing=False)


def save_in_parts(run: Directory, store: Store) -> None:
    """One looks and commits; others, which only know their names, write."""
    standing = look(run.prefix("old", store))
    shares = standing.choose_names(2).split([1, 1])
    parts = [
        write_partial(run.prefix("old", store), {f"w{number}": tensors(number)["w"]}, share)
        for number, share in enumerate(shares)
    ]
    commit_partials(standing, parts)


WORKS = [save, overwrite, merge, save_in_parts]


def operations_of(run: Directory, work: Work) -> int:
    store = FaultyStore(run.store, 0)
    work(run, store)
    return len(store.operations)


def collecting_at(run: Directory, moment: int, jump: float, when: str) -> HookedStore:
    """The directory's store; before or after its N-th operation the clock jumps, and a collector runs to its end."""

    def collect(number: int, name: str) -> None:
        if number == moment:
            before = committed(run.location)
            run.clock.now += jump
            run.collect()
            assert committed(run.location) == before, name

    return HookedStore(run.store, **{when: collect})


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_p12_a_collector_a_day_later_at_any_moment(kind: Callable[[], Directory], work: Work, when: str) -> None:
    late = 0
    for moment in count(1):
        run = kind()
        prepare(run)
        before = committed(run.location)
        if moment > operations_of(run, work):
            break
        run = kind()
        prepare(run)
        try:
            work(run, collecting_at(run, moment, 2 * DAY, when))
        except CommitTimeoutError:
            late += 1
            assert committed(run.location) == before
        except CloudckptError as error:
            # A merge whose sources' listing was overtaken; nothing else may fail.
            pytest.fail(f"{moment}: {error!r}")
        run.clock.now += 2 * DAY
        run.collect()
        assert only_checkpoints(run.location), moment
    assert late >= 2


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_p12_a_collector_within_the_time_of_a_save_takes_nothing_of_it(
    kind: Callable[[], Directory], work: Work
) -> None:
    total = 0
    for moment in count(1):
        run = kind()
        prepare(run)
        if moment > total > 0:
            break
        store = collecting_at(run, moment, 12 * HOUR, "before")
        work(run, store)
        total = len(store.operations)
        assert committed(run.location)
        run.clock.now += DAY
        run.collect()
        assert only_checkpoints(run.location), moment


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_p12_a_process_that_slept_for_days_takes_nothing_from_the_one_that_took_its_place(
    kind: Callable[[], Directory], work: Work
) -> None:
    """What the sleeper had written was collected, and another has saved under the same names meanwhile."""
    for moment in range(1, 30):
        run = kind()
        prepare(run)
        others: dict[str, list[str]] = {}

        def take_over(number: int, _: str, run: Directory = run, others: Any = others, moment: int = moment) -> None:
            if number == moment:
                run.clock.now += 2 * DAY
                run.collect()
                for name in ("new", "old", "merged"):
                    save_tensors(run.prefix(name), tensors(7))
                others.update(committed(run.location))

        with suppress(CloudckptError):
            work(run, HookedStore(run.store, after=take_over))
        found = committed(run.location)
        assert {name for name in others if name in found} == set(others), moment


@pytest.mark.parametrize("when", ["before", "after"])
def test_p12_a_collector_at_any_moment_of_a_manager(when: str) -> None:
    for moment in count(1):
        run = Directory()
        with manager_at(run.location, max_to_keep=2) as manager:
            for step in (1, 2):
                manager.save(step, tree(step))
        store = collecting_at(run, moment, 2 * DAY, when)
        with manager_at(run.on(store), max_to_keep=2) as manager:
            manager.restore_latest()
            for step in (3, 4, 2):
                try:
                    manager.save(step, tree(step, "second"))
                except CommitTimeoutError:
                    manager.save(step, tree(step, "second"))
        with manager_at(run.location) as manager:
            found, step = manager.restore_latest()
        assert step == 2
        assert same(found, tree(2, "second"))
        committed(run.location)
        if moment > len(store.operations):
            break


def test_p12_two_collectors() -> None:
    """A second one runs at any moment of the first."""
    for moment in count(1):
        run = Directory(UnconditionalMemory)
        prepare(run)
        run.clock.now += DAY
        before = committed(run.location)
        store = collecting_at(run, moment, 0, "before")
        run_by_the_first = Directory(UnconditionalMemory)
        run_by_the_first.clock, run_by_the_first.store = run.clock, run.store
        run_by_the_first.location = run.on(store)
        run_by_the_first.collect()
        assert committed(run.location) == before
        assert only_checkpoints(run.location)
        if moment > len(store.operations):
            break


def test_p12_a_whole_save_at_any_moment_of_a_collector() -> None:
    """Another process saves where the collector has just found garbage without an index."""
    for moment in count(1):
        run = Directory(UnconditionalMemory)
        prepare(run)
        run.clock.now += DAY
        saved: dict[str, list[str]] = {}

        def save_now(number: int, _: str, run: Directory = run, saved: Any = saved, moment: int = moment) -> None:
            if number == moment:
                for name in ("gone", "old"):
                    save_tensors(run.prefix(name), tensors(5))
                saved.update(committed(run.location))

        store = HookedStore(run.store, before=save_now)
        collecting = Directory(UnconditionalMemory)
        collecting.clock, collecting.location = run.clock, run.on(store)
        collecting.collect()
        assert committed(run.location) == (saved or committed(run.location))
        if moment > len(store.operations):
            break
