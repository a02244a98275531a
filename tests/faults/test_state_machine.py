"""Managers and plain writers, readers, a collector, crashes, lost answers, late writes and clocks that jump, in any
order of their storage operations: nothing committed is lost, nothing else is found, nothing is deleted early."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable  # noqa: TC003 - of a dataclass's field
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CommitConflictError,
    CommitTimeoutError,
    CommitUnknownError,
    ObjectChangedError,
    StorageError,
    TransientStorageError,
)
from cloudckpt.garbage.collect import collect_in
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.stored.source import open_source
from cloudckpt.testing.faults import Crash
from tests.faults.model import HOUR, PLAIN, MemoryLikeS3, Process, World, number_of, tree
from tests.faults.scheduled import FATES, Fate, Task
from tests.manager.runs import manager_at

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.RecoveryWarning")

UNPROVED = (TransientStorageError, CommitUnknownError, Crash)
"""After these a save may or may not have taken effect."""
JUMPS = [0.0, 1.0, HOUR, 13 * HOUR, 25 * HOUR, 30 * 24 * HOUR]


@dataclass
class Running:
    """A call under way, and what is to be looked at when it has ended."""

    task: Task
    process: Process
    ended: Callable[[Task], object]


class Fleet(RuleBasedStateMachine):
    """The processes of one directory."""

    store: type[MemoryStore] = MemoryStore
    max_to_keep = 2
    max_save_time: float | None = None

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.store, max_to_keep=self.max_to_keep)
        self.set_wrong = 0.0
        """seconds by which the clock on the wall of every process differs from the store's"""
        self.managers: dict[int, tuple[Process, Any]] = {}
        self.running: dict[str, Running] = {}
        self._patches = [
            patch("time.time", lambda: self.world.now + self.set_wrong),
            patch("time.clock_gettime", lambda _: self.world.now),
            patch("cloudckpt.checkpoint.write.SMALL_BYTES", 1),
        ]
        for each in self._patches:
            each.start()

    def teardown(self) -> None:
        for each in list(self.running.values()):
            each.task.finish()
        self.end()
        for late in self.world.late:
            self.arrive(late)
        self.all_can_go_on()
        self.world.pass_time(30 * 24 * HOUR)
        collect_in(Location(self.world.raw, "run"))
        self.world.check()
        assert set(self.world.files()) == self.world.committed_files()
        for each in self._patches:
            each.stop()

    # What processes begin to do.

    @initialize(steps=st.sampled_from([(), (1,), (1, 2, 3)]))
    def both_jobs_have_begun(self, steps: tuple[int, ...]) -> None:
        """After some steps that another one has saved."""
        self.restart(0)
        self.finish("manager 0")
        for step in steps:
            self.save(0, step)
            self.finish("manager 0")
        for slot in (0, 1):
            self.restart(slot)
            self.finish(f"manager {slot}")

    @rule(slot=st.integers(0, 1))
    def restart(self, slot: int) -> None:
        """A job is killed, if it was running, and started again."""
        self.kill(f"manager {slot}")
        process = self.world.process()
        manager = manager_at(self.seen_by(process), max_to_keep=self.max_to_keep, max_save_time=self.max_save_time)
        self.managers[slot] = process, manager
        self.begin(f"manager {slot}", process, partial(manager.restore_latest, default=None), self.restored)

    @precondition(lambda self: self.idle_managers())
    @rule(data=st.data(), by=st.sampled_from([1, 1, 1, 2, 0, -1, -3]))
    def save_a_step(self, data: st.DataObject, by: int) -> None:
        """A job saves its next step, the newest one again, or one further back."""
        slot = data.draw(st.sampled_from(self.idle_managers()))
        self.save(slot, max(self.managers[slot][0].step + by, 0))

    @precondition(lambda self: self.idle_managers() and self.world.steps())
    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        """A job restores one step of those that are there."""
        slot = data.draw(st.sampled_from(self.idle_managers()))
        step = data.draw(st.sampled_from(self.world.steps()))
        process, manager = self.managers[slot]

        def ended(task: Task) -> None:
            if task.error is None:
                assert number_of(task.result) in self.world.taken
                process.step = step
            else:
                # Retention may take it, or another writer replace it, at any time.
                assert isinstance(
                    task.error, CheckpointNotFoundError | ObjectChangedError | TransientStorageError | Crash
                )

        self.begin(f"manager {slot}", process, partial(manager.restore, step), ended)

    @rule(slot=st.integers(0, 1))
    def save_plainly(self, slot: int) -> None:
        """A save to the one prefix that has no manager."""
        if f"writer {slot}" not in self.running:
            process = self.world.process()
            save = self.world.begin(process, None)
            call = partial(save_tree, Location(self.seen_by(process).store, PLAIN), tree(save.number))
            self.begin(f"writer {slot}", process, call, self.saved)

    @rule(through_handles=st.booleans())
    def read(self, through_handles: bool) -> None:
        """A reader of that prefix."""
        if "reader" not in self.running:
            process, before = self.world.process(), len(self.world.history)
            place = Location(self.seen_by(process).store, PLAIN)
            call = partial(read_handles if through_handles else read_tree, place)
            self.begin("reader", process, call, partial(self.have_read, before=before))

    @rule(of_all=st.booleans())
    def collect(self, of_all: bool) -> None:
        """A collector of garbage, with nothing but the age to go by."""
        if "collector" not in self.running:
            process = self.world.process()
            directory = self.seen_by(process)
            name = None if of_all else "ckpt"
            self.begin("collector", process, partial(collect_in, directory, checkpoint_name=name), self.collected)

    # How they go on.

    @precondition(lambda self: self.running)
    @rule(data=st.data(), count=st.integers(1, 6))
    def go_on(self, data: st.DataObject, count: int) -> None:
        """One of them does its next operations."""
        name = data.draw(st.sampled_from(sorted(self.running)))
        for _ in range(count):
            if not self.running[name].task.done:
                self.running[name].task.step()
        self.end()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def go_on_to_the_end(self, data: st.DataObject) -> None:
        self.finish(data.draw(st.sampled_from(sorted(self.running))))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), fate=st.sampled_from(FATES))
    def meet_fate(self, data: st.DataObject, fate: Any) -> None:
        """One of them does its next operation, and something happens to it."""
        running = self.running[data.draw(st.sampled_from(sorted(self.running)))]
        running.task.step(fate)
        if running.process.store.killed:
            running.task.finish()
        self.end()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), first=st.sampled_from(["answer lost", "late"]), count=st.integers(3, 12))
    def lose_the_network(self, data: st.DataObject, first: Any, count: int) -> None:
        """The answer to one operation is lost, and nothing gets through for a while, so that it can't be read back."""
        task = self.running[data.draw(st.sampled_from(sorted(self.running)))].task
        task.step(first)
        for _ in range(count):
            if not task.done:
                task.step("refused")
        self.end()

    @precondition(lambda self: self.about_to("delete"))
    @rule()
    def delete_twice(self) -> None:
        """A DELETE is sent again, because its answer takes so long, and the first one arrives at some time."""
        for running in self.about_to("delete"):
            running.task.step("twice")
        self.end()

    @precondition(lambda self: self.about_to("put"))
    @rule(fate=st.sampled_from(["answer lost", "late", "crash after"]))
    def commit_without_an_answer(self, fate: Any) -> None:
        """The write of an index or of the state, which takes effect or will."""
        for running in self.about_to("put"):
            running.task.step(fate)
            if running.process.store.killed:
                running.task.finish()
        self.end()

    @precondition(lambda self: self.world.late)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A request arrives that was sent long ago."""
        at = data.draw(st.integers(0, len(self.world.late) - 1))
        self.arrive(self.world.late.pop(at))

    @rule(seconds=st.sampled_from(JUMPS))
    def let_time_pass(self, seconds: float) -> None:
        """No request is on its way for hours: those that make a commit arrive first."""
        for running in list(self.running.values()):
            while seconds > HOUR and re.fullmatch(r"put .*\.index", running.task.pending):
                running.task.step()
        self.end()
        self.world.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.0, -400 * 24 * HOUR, 400 * 24 * HOUR]))
    def set_the_clients_clock(self, seconds: float) -> None:
        self.set_wrong = seconds

    @invariant()
    def all_is_well(self) -> None:
        self.world.check()

    # What must come of it.

    def saved(self, task: Task) -> None:
        save = task.of.save
        taken = save.number in self.world.taken
        if task.error is None:
            assert taken
            assert save.step is None or save.number in self.world.announced
        elif isinstance(task.error, CommitConflictError):
            # One that took effect without an answer, and was replaced since, has lost, too.
            is_there = any(commit.number == save.number for commit in self.world.commits.values())
            assert taken if task.error.committed is not None else not is_there
            winner = task.error.winner
            assert winner is None or self.world.writers[winner.version] is not task.of
        elif isinstance(task.error, CommitTimeoutError):
            assert not taken
        else:
            # Nobody knows of a data file whether it has arrived: so there is no index, for certain.
            assert isinstance(task.error, UNPROVED if taken else (*UNPROVED, StorageError)), repr(task.error)
        if save.step is not None and taken:
            task.of.step = save.step

    def restored(self, task: Task) -> None:
        if isinstance(task.error, CheckpointDamagedError):
            assert self.world.states > task.of.states_before or not self.world.line, repr(task.error)
        elif task.error is not None:
            assert isinstance(task.error, TransientStorageError | ObjectChangedError | Crash), repr(task.error)
        elif task.result is not None:
            loaded, task.of.step = task.result
            task.of.found.add(task.of.step)
            assert number_of(loaded) in self.world.taken
            assert self.world.saves[number_of(loaded)].step == task.of.step

    def all_can_go_on(self) -> None:
        """Whatever has happened: a job that starts now restores and saves, and so does a plain writer."""
        for start in (partial(self.restart, 0), lambda: self.save(0, self.managers[0][0].step + 10)):
            start()
            task = self.running["manager 0"].task
            self.finish("manager 0")
            task.outcome()
        self.save_plainly(0)
        self.finish("writer 0")
        assert self.world.history[-1] == len(self.world.saves)

    def collected(self, task: Task) -> None:
        assert isinstance(task.error, TransientStorageError | Crash | None), repr(task.error)

    def have_read(self, task: Task, before: int) -> None:
        if isinstance(task.error, CheckpointNotFoundError):
            assert not before
        elif task.error is not None:
            assert isinstance(task.error, ObjectChangedError | TransientStorageError | Crash), repr(task.error)
        else:
            assert task.result in self.world.history[max(before - 1, 0) :]

    # How it is done.

    def seen_by(self, process: Process) -> Location:
        """The directory, as that process sees it: three attempts at everything."""
        clock = itertools.count()
        store = RetryingStore(
            process.store, max_retry_seconds=4, sleep=lambda _: None, clock=lambda: float(next(clock))
        )
        return Location(store, "run")

    def begin(self, name: str, process: Process, call: Callable[[], Any], ended: Callable[[Task], object]) -> None:
        process.states_before = self.world.states
        task = Task(process.store, call)
        task.of = process
        self.running[name] = Running(task, process, ended)
        self.end()

    def end(self) -> None:
        """Look at those that have ended."""
        for name, running in list(self.running.items()):
            if running.task.done:
                del self.running[name]
                running.ended(running.task)
                if running.process.store.killed:
                    self.managers = {slot: of for slot, of in self.managers.items() if of[0] is not running.process}

    def save(self, slot: int, step: int) -> None:
        process, manager = self.managers[slot]
        save = self.world.begin(process, step)
        self.begin(f"manager {slot}", process, partial(manager.save, step, tree(save.number)), self.saved)

    def finish(self, name: str) -> None:
        if name in self.running:
            self.running[name].task.finish()
            self.end()

    def kill(self, name: str) -> None:
        if name in self.running:
            self.running[name].task.crash()
            self.end()

    def idle_managers(self) -> list[int]:
        return [slot for slot in sorted(self.managers) if f"manager {slot}" not in self.running]

    def about_to(self, operation: str) -> list[Running]:
        return [running for running in self.running.values() if running.task.pending.startswith(operation)]

    def arrive(self, late: Callable[[], object]) -> None:
        """Its answer reaches nobody."""
        self.world.changed = True
        with suppress(StorageError):
            late()


def read_tree(place: Location) -> int:
    return number_of(load_tree(place))


def read_handles(place: Location) -> int:
    """The number that all tensors tell, read one after the other."""
    source = open_source(place)
    arrays = {}
    for name in ("w", "v", "number"):
        arrays |= source.read_whole([name])
    (number,) = {int(value) for array in arrays.values() for value in array.ravel()}
    return number


class FleetOnS3(Fleet):
    """On a store that deletes without a condition; it keeps one step, so that names are deleted all the time.

    Its saves may take longer than usual.
    """

    store = MemoryLikeS3
    max_to_keep = 1
    max_save_time = 36 * HOUR


@pytest.mark.parametrize("fleet", [Fleet, FleetOnS3])
def test_a_fleet(fleet: type[Fleet]) -> None:
    run_state_machine_as_test(fleet, settings=settings(max_examples=60, stateful_step_count=50, **FREELY))


def test_a_state_that_arrives_while_its_manager_saves_the_next_step() -> None:
    fleet = fleet_whose_state_has_no_answer("late")
    fleet.save(0, 4)
    fleet.arrive(fleet.world.late.pop())
    assert fleet.world.line == [2, 3]
    fleet.teardown()
    assert fleet.world.line == [4, 14]


def test_going_back_to_a_step_that_a_state_without_an_answer_has_retired() -> None:
    fleet = fleet_whose_state_has_no_answer("answer lost")
    assert fleet.world.retired == {1}
    fleet.save(0, 2)
    fleet.finish("manager 0")
    assert fleet.world.line == [1, 2]
    fleet.teardown()


def fleet_whose_state_has_no_answer(fate: Fate) -> Fleet:
    """Manager 0 has saved the steps 1 to 3, and does not know whether the state that names 3 has taken effect."""
    fleet = Fleet()
    fleet.both_jobs_have_begun((1, 2))
    fleet.save(0, 3)
    task = fleet.running["manager 0"].task
    while task.pending != "put checkpoint":
        task.step()
    task.step(fate)
    while not task.done:
        task.step("refused")
    fleet.end()
    assert isinstance(task.error, CommitUnknownError)
    return fleet


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fleet", [Fleet, FleetOnS3])
def test_a_fleet_for_long(fleet: type[Fleet]) -> None:
    run_state_machine_as_test(fleet, settings=settings(max_examples=4000, stateful_step_count=80, **FREELY))


FREELY: Any = {"deadline": None, "suppress_health_check": list(HealthCheck)}
