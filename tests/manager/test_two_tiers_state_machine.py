"""Machines with disks before one bucket, in any order of saves, ways back, deaths, faults and restarts elsewhere: a job
goes on from what was announced last, and never from a line that was left."""

from __future__ import annotations

import itertools
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cloudckpt.errors import (
    CheckpointNotFoundError,
    CloudckptError,
    CommitConflictError,
    InvalidArgumentError,
    StorageError,
)
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import tensors_of
from cloudckpt.storage.location import Location
from cloudckpt.testing.faults import Crash, FaultyStore, Mode
from tests.manager.machines import Machine
from tests.manager.runs import MemoryRun, tree

MODES: list[Mode] = ["before", "after", "during"]
DISKS = 3


class MortalStore(FaultyStore):
    """A store that fails when it is told to."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner, 0)

    def fail(self, after: int, mode: Mode, error: BaseException) -> None:
        """Fail the operation after so many, and with a `Crash` all that follow."""
        self._fail_at, self._mode, self._error = len(self.operations) + 1 + after, mode, error
        self._forever = isinstance(error, Crash)

    def recover(self) -> None:
        if not self._forever:
            self._fail_at = 0


@dataclass(frozen=True)
class Node:
    """One save that was begun."""

    step: int
    name: str
    parent: Node | None

    def comes_from(self, other: Node) -> bool:
        """Whether the run has gone from the other to this one, or they are the same."""
        return self == other or (self.parent is not None and self.parent.comes_from(other))


class Job:
    """A process on a machine."""

    def __init__(self, bucket: MemoryRun, disk: MemoryRun, number: int, options: dict[str, Any]) -> None:
        self.on = number
        self.stores = {"disk": MortalStore(disk.store), "bucket": MortalStore(bucket.store)}
        self.machine = Machine(
            bucket, disk, local_store=self.stores["disk"], bucket_store=self.stores["bucket"], **options
        )
        self.at: Node | None = None
        """where it stands"""

    @property
    def is_dead(self) -> bool:
        return any(store.dead for store in self.stores.values())

    def kill(self) -> None:
        for store in self.stores.values():
            store.fail(-1, "before", Crash())
        self.machine.tiers.uploads.settle()
        self.forget_errors()

    def forget_errors(self) -> None:
        """Ask for those of uploads; else they are logged when it is gone, as those that nobody has asked for."""
        with suppress(CloudckptError, Crash):
            self.machine.tiers.uploads.check_for_errors()


class Run(RuleBasedStateMachine):
    """One run, whose job is killed and started again, here or there."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = MemoryRun()
        self.disks = [MemoryRun() for _ in range(DISKS)]
        self.nodes: dict[str, Node] = {}
        self.names = (f"save {number}" for number in itertools.count(1))
        self.job: Job | None = None
        self.other: Job | None = None
        """a job that somebody has forgotten to kill"""
        self.expected: set[Node] | None = None
        """from what a restart on the same machine may go on; None if nobody can say"""
        self.is_alone = True
        """whether no other job has saved since the job was started: it learns that when it sends something next"""
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.simplefilter("ignore")

    def teardown(self) -> None:
        for job in (self.job, self.other):
            if job is not None:
                job.kill()
        for number in range(DISKS):
            self.begin(number)
            self.save(1)
            assert self.job is not None
            self.job.forget_errors()
        self._quiet.__exit__(None, None, None)

    @initialize(
        every=st.integers(1, 3),
        in_background=st.booleans(),
        local_keep=st.sampled_from([1, 2, 3]),
        bucket_keep=st.sampled_from([1, 2, None]),
    )
    def configure(self, every: int, in_background: bool, local_keep: int, bucket_keep: int | None) -> None:
        self.options: dict[str, Any] = {
            "upload_every": every,
            "in_background": in_background,
            "local_keep": local_keep,
            "bucket_keep": bucket_keep,
        }
        self.begin(0)

    # What happens.

    @rule(number=st.integers(0, DISKS - 1))
    def restart(self, number: int) -> None:
        """The job dies, and starts again on some machine."""
        if self.job is not None:
            self.job.kill()
        self.begin(number)

    @precondition(lambda self: self.other is None)
    @rule(number=st.integers(0, DISKS - 1))
    def start_another(self, number: int) -> None:
        """The job is started elsewhere, while it still runs."""
        if self.job is not None and not self.job.is_dead and number != self.job.on:
            self.other = self.job
            self.begin(number)

    @precondition(lambda self: self.other is not None)
    @rule(by=st.sampled_from([1, 2]))
    def the_other_saves(self, by: int) -> None:
        self.job, self.other = self.other, self.job
        self.save(by)
        self.job, self.other = self.other, self.job
        self.expected, self.is_alone = None, False

    @precondition(lambda self: self.other is not None)
    @rule()
    def the_other_dies(self) -> None:
        assert self.other is not None
        self.other.kill()
        self.other = None

    @precondition(lambda self: self.is_running)
    @rule(by=st.sampled_from([1, 1, 1, 1, 2, 5, 0, -1, -2]))
    def save(self, by: int) -> None:
        """The next step, the same one again, or one further back."""
        job = self.job
        assert job is not None
        step = max((job.at.step if job.at else 0) + by, 0)
        node = Node(step, next(self.names), job.at)
        self.nodes[node.name] = node
        before = self.expected
        # Whoever goes back leaves what comes after, before the new step is there.
        is_back = any(known.step >= step for known in before or ())
        back = {known for known in self.in_bucket() if is_back and known.step <= step}
        may_be = None if before is None else {*before, *back, node}
        try:
            job.machine.tiers.save(step, tensors_of(tree(step, node.name)))
            self.expected, job.at = {node}, node
        except CommitConflictError:
            self.expected = None
        except StorageError:
            self.expected = may_be
            if not self.stands(job, node):
                return
            job.at = node
        except Crash:
            self.expected = may_be
        finally:
            job.machine.tiers.uploads.settle()
            if not self.is_alone:
                self.expected = None

    @precondition(lambda self: self.is_running)
    @rule(
        by=st.sampled_from([1, 1, 2, 0, -1]),
        tier=st.sampled_from(["disk", "bucket"]),
        after=st.integers(0, 12),
        mode=st.sampled_from(MODES),
        dies=st.booleans(),
    )
    def fail_in_a_save(self, by: int, tier: str, after: int, mode: Mode, dies: bool) -> None:
        """An operation of a save fails, or the process dies at it."""
        assert self.job is not None
        self.job.machine.tiers.uploads.settle()
        self.job.stores[tier].fail(after, mode, Crash() if dies else StorageError("an injected fault"))
        self.save(by)
        if dies:
            self.job.kill()
        for store in self.job.stores.values():
            store.recover()

    @precondition(lambda self: self.is_running)
    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        """The job restores one of the steps that there are."""
        job = self.job
        assert job is not None
        if steps := job.machine.tiers.steps():
            job.at = self.nodes[job.machine.restore(data.draw(st.sampled_from(steps)))]

    @precondition(lambda self: self.is_running)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job = self.job
        assert job is not None
        if steps := job.machine.tiers.steps():
            step = data.draw(st.sampled_from(steps))
            try:
                job.machine.tiers.delete(step)
            except CommitConflictError:
                self.expected = None
            except (InvalidArgumentError, CheckpointNotFoundError):
                pass
            else:
                assert step not in job.machine.tiers.steps()
                self.expected = None

    @rule(number=st.integers(0, DISKS - 1))
    def lose_a_disk(self, number: int) -> None:
        if all(job is None or job.is_dead or job.on != number for job in (self.job, self.other)):
            self.disks[number] = MemoryRun()
            if self.job is not None and self.job.on == number:
                self.expected = None

    # How it is done, and what must come of it.

    @property
    def is_running(self) -> bool:
        return self.job is not None and not self.job.is_dead

    def begin(self, number: int) -> None:
        same_machine = self.job is not None and self.job.on == number
        self.job = job = Job(self.bucket, self.disks[number], number, self.options)
        here = self.in_recovery()
        found = job.machine.newest()
        job.at = None if found is None else self.nodes[found[1]]
        assert (found is None) == (job.at is None)
        if job.at is not None:
            assert found is not None
            assert found[0] == job.at.step
        if here is not None:
            assert job.at is not None
            assert job.at.comes_from(here), (job.at, here)
            for left in self.left():
                assert not job.at.comes_from(left) or here.comes_from(left), (job.at, left)
        if same_machine and self.expected is not None:
            assert job.at in self.expected or (job.at is None), (job.at, self.expected)
        self.expected, self.is_alone = None if job.at is None else {job.at}, True

    def stands(self, job: Job, node: Node) -> bool:
        """Whether a save that has failed left its step on the disk."""
        files = job.machine.disk.indexed
        return node.step in files and self.read(job.machine.disk, node.step) == node

    def in_recovery(self) -> Node | None:
        """What a manager of the bucket alone finds."""
        with self.bucket.manager() as manager:
            found = manager.restore_latest(default=None)
        return None if found is None else self.nodes[found[0]["line"]]

    def in_bucket(self) -> list[Node]:
        return [self.read(self.bucket, step) for step in self.bucket.indexed]

    def left(self) -> list[Node]:
        """What the bucket lists as left."""
        names = self.bucket.state.left
        return [self.read(self.bucket, step) for step in self.bucket.indexed if f"ckpt-{step}" in names]

    def read(self, run: MemoryRun, step: int) -> Node:
        return self.nodes[load_tree(Location(run.store, f"run/ckpt-{step}"))["line"]]


FREELY: Any = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def test_a_run() -> None:
    run_state_machine_as_test(Run, settings=settings(max_examples=60, stateful_step_count=30, **FREELY))


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_run_for_long() -> None:
    run_state_machine_as_test(Run, settings=settings(max_examples=4000, stateful_step_count=60, **FREELY))
