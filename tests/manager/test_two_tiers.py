"""A fast disk before a bucket: what goes where, and what a restart goes on from."""

from __future__ import annotations

import errno
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CommitConflictError,
    InvalidArgumentError,
    RecoveryWarning,
    StorageError,
    TransientStorageError,
)
from cloudckpt.testing.faults import FaultyStore
from tests.manager.machines import Machine
from tests.manager.runs import MemoryRun, tree

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bucket() -> MemoryRun:
    return MemoryRun()


def full_disk() -> FaultyStore:
    """A disk that takes nothing, and shows what it has."""
    disk = MemoryRun()
    store = FaultyStore(disk.store, 0)
    full = StorageError("no space left on the device")
    full.errno = errno.ENOSPC

    def refuse(*args: object, **options: object) -> None:
        raise full

    store.create = store.put = refuse  # type: ignore[method-assign]  # that is the point
    return store


@contextmanager
def passing_over(why: str) -> Iterator[None]:
    """Each step on disk that does not count is warned of, and says why."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield
    messages = [str(each.message) for each in warned]
    passed = [each for each in messages if "is passed over" in each]
    assert passed
    assert all(why in each for each in passed)
    assert {each.category for each in warned} == {RecoveryWarning}


# What goes where


def test_every_save_goes_to_the_disk_and_every_third_to_the_bucket(bucket):
    machine = Machine(bucket, upload_every=3, local_keep=None).save(*range(10, 80, 10))
    assert machine.disk.indexed == [10, 20, 30, 40, 50, 60, 70]
    assert bucket.indexed == [30, 60]


def test_each_keeps_what_its_own_policy_says(bucket):
    machine = Machine(bucket, local_keep=2, bucket_keep=4).save(*range(1, 8))
    assert (machine.disk.indexed, bucket.indexed) == ([6, 7], [4, 5, 6, 7])


def test_a_machine_that_is_to_be_taken_away_saves_to_the_bucket(bucket):
    notices: list[str] = []
    machine = Machine(bucket, upload_every=10, in_background=True, is_ending=lambda: bool(notices)).save(1)
    notices.append("in two minutes")
    machine.save(2)
    assert bucket.indexed == [2]


def test_the_bucket_has_nothing_that_a_manager_of_it_alone_would_not_write(bucket):
    machine = Machine(bucket).save(1)
    alone = MemoryRun()
    with alone.manager() as manager:
        manager.save(1, tree(1))
    assert machine.disk.files == bucket.files == alone.files
    assert (
        bucket.filesystem.store["/run/ckpt-1.index"].getvalue()
        == alone.filesystem.store["/run/ckpt-1.index"].getvalue()
    )


# What a restart goes on from


def test_a_step_that_only_the_disk_has(bucket):
    machine = Machine(bucket, upload_every=3).save(*range(1, 6))
    assert machine.again().newest() == (5, "first")


def test_a_step_that_both_have_is_read_from_the_disk(bucket):
    machine = Machine(bucket).save(1, 2)
    assert machine.again().newest_is_from_disk()


def test_nothing_at_all(bucket):
    assert Machine(bucket).newest() is None
    assert Machine(bucket).tiers.newest_step() is None
    assert Machine(bucket).tiers.steps() == []


def test_a_step_on_disk_before_anything_is_in_the_bucket(bucket):
    machine = Machine(bucket, upload_every=5).save(1, 2)
    assert machine.again().newest() == (2, "first")


def test_a_new_machine_goes_on_from_the_bucket(bucket):
    Machine(bucket, upload_every=3).save(*range(1, 6))
    another = Machine(bucket, upload_every=3)
    assert another.newest() == (3, "first")
    another.save(4, 5, 6)
    assert bucket.indexed == [3, 6]
    assert another.again().newest() == (6, "first")


def test_what_another_machine_went_on_to_wins_over_a_stale_disk(bucket):
    stale = Machine(bucket, upload_every=3).save(*range(1, 6))
    another = Machine(bucket, upload_every=1)
    another.newest()
    another.save(4, line="second")
    with pytest.warns(RecoveryWarning, match="does not come from step 4"):
        assert stale.again().newest() == (4, "second")


def test_a_stale_disk_that_has_the_same_step_of_another_line(bucket):
    stale = Machine(bucket, upload_every=3).save(*range(1, 5))
    another = Machine(bucket)
    another.newest()
    another.save(4, line="second")
    again = stale.again()
    assert again.newest() == (4, "second")
    assert not again.newest_is_from_disk()


def test_a_rollback_on_another_machine_wins_over_a_stale_disk(bucket):
    stale = Machine(bucket, upload_every=2, local_keep=None).save(*range(1, 8))
    another = Machine(bucket)
    another.restore(2)
    another.save(3, line="second")
    with pytest.warns(RecoveryWarning, match="does not come from step 3"):
        assert stale.again().newest() == (3, "second")


def test_a_rollback_that_came_no_further_than_leaving_the_line_wins_too(bucket):
    stale = Machine(bucket, upload_every=2, local_keep=None).save(*range(1, 8))
    left = FaultyStore(bucket.store, 0)
    another = Machine(bucket, bucket_store=left)
    another.restore(2)
    put = left.put

    def dies_at_the_index(key: str, *args: object, **options: object) -> object:
        if key.endswith(".index"):
            raise StorageError("the machine is gone")
        return put(key, *args, **options)

    left.put = dies_at_the_index  # type: ignore[method-assign]  # that is the point
    with pytest.raises(StorageError, match="the machine is gone"):
        another.save(3, line="second")
    assert bucket.state.left == ("ckpt-4", "ckpt-6")
    with passing_over("has gone back to step 2, and left what came after it"):
        assert stale.again().newest() == (2, "first")


def test_a_disk_of_another_run_does_not_count(bucket):
    used = Machine(bucket).save(1, 2)
    other = MemoryRun()
    with passing_over("it is of a run in 'memory://run', and not in 'memory://other'"):
        assert Machine(other, used.disk, folder="other").newest() is None


def test_a_disk_that_something_else_wrote_does_not_count(bucket):
    disk = MemoryRun()
    with disk.manager() as manager:
        manager.save(9, {"w": 1})
    Machine(bucket).save(3)
    with passing_over("does not say where it comes from"):
        assert Machine(bucket, disk).newest() == (3, "first")


def test_after_a_restart_the_line_goes_on(bucket):
    first = Machine(bucket, upload_every=3).save(*range(1, 6))
    second = first.again(upload_every=3)
    second.newest()
    second.save(6, 7)  # the first goes to the bucket, as the last two did not
    assert bucket.indexed == [3, 6]
    assert second.again().newest() == (7, "first")


def test_going_on_from_the_bucket_the_line_starts_there(bucket):
    Machine(bucket).save(1, 2, 3)
    another = Machine(bucket, upload_every=10)
    another.newest()
    another.save(4)
    assert bucket.indexed == [1, 2, 3]
    assert another.again().newest() == (4, "first")


def test_going_back_on_one_machine_is_in_the_bucket_at_once(bucket):
    machine = Machine(bucket, upload_every=3, local_keep=None).save(*range(1, 8))
    assert machine.restore(2) == "first"
    machine.save(3, 4, line="second")
    assert bucket.named == [3]
    assert machine.again().newest() == (4, "second")


def test_going_back_to_a_step_below_all_in_the_bucket(bucket):
    machine = Machine(bucket, upload_every=3, local_keep=None).save(*range(1, 8))
    machine.restore(1)
    machine.save(2, line="second")
    assert machine.again().newest() == (2, "second")
    assert Machine(bucket).newest() == (2, "second")


def test_going_on_from_an_older_step_beyond_the_newest_is_in_the_bucket_at_once(bucket):
    machine = Machine(bucket, upload_every=3, local_keep=None).save(*range(1, 8))
    machine.restore(5)
    machine.save(9, line="second")
    assert machine.again().newest() == (9, "second")
    assert bucket.indexed == [3, 6, 9]


def test_a_job_that_restores_nothing_is_in_the_bucket_at_once(bucket):
    Machine(bucket).save(5)
    machine = Machine(bucket, upload_every=10).save(9, line="second").save(10, line="second")
    assert bucket.indexed == [5, 9]
    assert machine.again().newest() == (10, "second")


# A tier that fails


def test_a_full_disk_falls_through_to_the_bucket(bucket):
    machine = Machine(bucket, local_store=full_disk(), upload_every=10)
    with pytest.warns(RecoveryWarning, match="only, as the local folder can't take it: no space left"):
        assert machine.tiers.save(1, {}) == "memory://run/ckpt-1"
    assert bucket.indexed == [1]


def test_a_disk_that_is_full_for_a_while(bucket):
    disk = MemoryRun()
    machine = Machine(bucket, disk, local_store=(store := FaultyStore(disk.store, 0)), upload_every=10)
    machine.save(1)
    works, store.create = store.create, full_disk().create  # type: ignore[method-assign]
    with pytest.warns(RecoveryWarning, match="no space left"):
        machine.save(2)
    store.create = works  # type: ignore[method-assign]
    machine.save(3, 4)
    assert bucket.indexed == [2, 3]
    assert machine.again().newest() == (4, "first")


def test_a_disk_that_can_t_be_read_is_left_out(bucket):
    machine = Machine(bucket, upload_every=2).save(1, 2, 3)
    broken = FaultyStore(machine.disk.store, 1, forever=True, error=StorageError("input/output error"))
    with pytest.warns(RecoveryWarning, match="input/output error"):
        assert machine.again(local_store=broken).newest() == (2, "first")


def test_a_step_on_disk_that_is_not_whole_is_passed_over(bucket):
    machine = Machine(bucket, upload_every=3, local_keep=None).save(*range(1, 7), 7, 8)
    machine.disk.filesystem.store["/run/ckpt-8.data-00000-of-00001"].truncate(10)
    with pytest.warns(RecoveryWarning, match="step 8 in 'memory://run' is passed over"):
        assert machine.again().newest() == (7, "first")


def test_a_damaged_copy_on_disk_is_read_from_the_bucket(bucket):
    machine = Machine(bucket).save(1, 2)
    machine.disk.filesystem.store["/run/ckpt-2.data-00000-of-00001"].truncate(10)
    again = machine.again()
    with pytest.warns(RecoveryWarning, match="going on with 'memory://run'"):
        assert not again.newest_is_from_disk()


def test_what_the_bucket_has_lost_is_read_from_the_disk(bucket):
    machine = Machine(bucket).save(1, 2)
    del bucket.filesystem.store["/run/ckpt-2.data-00000-of-00001"]
    assert machine.again().newest() == (2, "first")


def test_an_index_that_the_bucket_has_lost_is_found_on_disk(bucket):
    machine = Machine(bucket).save(1, 2)
    del bucket.filesystem.store["/run/ckpt-2.index"]
    with pytest.warns(RecoveryWarning, match="step 2 in 'memory://run' is passed over"):
        assert machine.again().newest() == (2, "first")


def test_a_bucket_with_nothing_whole_is_an_error(bucket):
    machine = Machine(bucket).save(1)
    del bucket.filesystem.store["/run/ckpt-1.index"]
    with pytest.warns(RecoveryWarning), pytest.raises(CheckpointDamagedError, match="holds no whole checkpoint"):
        machine.again().newest()


def test_a_bucket_that_can_t_be_reached_is_an_error_at_the_start(bucket):
    machine = Machine(bucket).save(1)
    with pytest.raises(TransientStorageError):
        machine.again(bucket_store=FaultyStore(bucket.store, 1)).newest()


def test_a_bucket_that_fails_costs_no_step_on_disk(bucket):
    machine = Machine(bucket, upload_every=2).save(1, 2)
    again = machine.again(bucket_store=(store := FaultyStore(bucket.store, 0)), upload_every=2)
    again.newest()
    again.save(3)
    works, store.put = store.put, full_disk().put  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="no space left"):
        again.save(4)
    assert machine.again().newest() == (4, "first")
    store.put = works  # type: ignore[method-assign]
    again.save(5)  # tries again
    assert bucket.indexed == [2, 5]


def test_a_job_that_lost_the_bucket_saves_nothing_more(bucket):
    machine = Machine(bucket, upload_every=2).save(1, 2)
    another = Machine(bucket)
    another.newest()
    another.save(3, 4, line="second")
    machine.save(3)
    with pytest.raises(CommitConflictError):
        machine.save(4)
    with pytest.raises(CommitConflictError, match="nothing was saved"):
        machine.save(5)
    assert machine.disk.indexed == [2, 3, 4]
    assert machine.newest() == (4, "second")
    machine.save(5, 6, line="second")
    assert bucket.named == [2, 3, 4, 6]


# In the background


def test_saves_go_to_the_bucket_behind(bucket):
    machine = Machine(bucket, in_background=True).save(1)
    machine.tiers.uploads.wait()
    assert bucket.indexed == [1]
    assert machine.again().newest_is_from_disk()
    assert Machine(bucket).newest() == (1, "first")


class Gate:
    """A store whose creations wait until it is opened."""

    def __init__(self, run: MemoryRun) -> None:
        self.store = FaultyStore(run.store, 0)
        self.open, self.reached = threading.Event(), threading.Event()
        create = self.store.create

        def wait(*args: object, **options: object) -> object:
            self.reached.set()
            assert self.open.wait(30)
            return create(*args, **options)

        self.store.create = wait  # type: ignore[method-assign]  # that is the point


def test_a_newer_save_takes_the_place_of_one_that_waits(bucket):
    gate = Gate(bucket)
    machine = Machine(bucket, bucket_store=gate.store, in_background=True, local_keep=1).save(1)
    assert gate.reached.wait(30)
    machine.save(2, 3, 4)  # of which the disk keeps the last
    gate.open.set()
    machine.tiers.uploads.wait()
    assert bucket.indexed == [1, 4]
    assert Machine(bucket).newest() == (4, "first")


def test_a_machine_that_dies_before_a_save_has_arrived(bucket):
    gate = Gate(bucket)
    machine = Machine(bucket, bucket_store=gate.store, in_background=True).save(1)
    assert gate.reached.wait(30)
    machine.save(2)
    survivors = MemoryRun()
    survivors.filesystem.store = dict(bucket.filesystem.store)
    assert Machine(survivors, machine.disk.copy()).newest() == (2, "first")
    gate.open.set()
    machine.tiers.uploads.wait()


def test_going_back_waits_for_what_is_on_its_way(bucket):
    gate = Gate(bucket)
    gate.open.set()
    machine = Machine(bucket, bucket_store=gate.store, in_background=True, local_keep=None).save(1)
    machine.tiers.uploads.wait()
    gate.open.clear()
    machine.save(2)
    threading.Timer(0.1, gate.open.set).start()
    machine.restore(1)
    machine.save(2, line="second")
    assert Machine(bucket).newest() == (2, "second")


def test_an_error_comes_up_later_and_the_next_save_tries_again(bucket):
    store = FaultyStore(bucket.store, 0)
    machine = Machine(bucket, bucket_store=store, in_background=True, upload_every=2).save(1, 2)
    machine.tiers.uploads.wait()
    works, store.put = store.put, full_disk().put  # type: ignore[method-assign]
    machine.save(3, 4)
    with pytest.raises(StorageError, match="no space left"):
        machine.tiers.uploads.wait()
    machine.tiers.uploads.check_for_errors()  # raised once
    store.put = works  # type: ignore[method-assign]
    machine.save(5)
    machine.tiers.uploads.wait()
    assert bucket.indexed == [2, 5]


def test_a_save_that_raises_an_earlier_error_in_place_of_its_upload_is_made_up_for_by_the_next(bucket):
    store = FaultyStore(bucket.store, 0)
    machine = Machine(bucket, bucket_store=store, in_background=True, upload_every=3)
    works, store.put = store.put, full_disk().put  # type: ignore[method-assign]
    machine.save(1, 2, 3)
    machine.tiers.uploads.settle()
    store.put = works  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="no space left"):
        machine.save(4)
    machine.save(5)
    machine.tiers.uploads.wait()
    assert (machine.disk.indexed, bucket.indexed) == ([3, 4, 5], [5])


def test_what_goes_to_the_bucket_is_reported(bucket):
    machine = Machine(bucket, in_background=True).save(7)
    machine.tiers.uploads.wait()
    (report,) = machine.told
    assert (report.step, report.prefix, report.error) == (7, "memory://run/ckpt-7", None)
    stored = sum(len(file.getvalue()) for file in bucket.filesystem.store.values())
    assert report.bytes == stored


def test_the_newest_step_can_be_sent_at_the_end(bucket):
    machine = Machine(bucket, upload_every=10).save(1, 2)
    machine.tiers.flush()
    assert bucket.indexed == [2]
    machine.tiers.flush()
    assert Machine(bucket).newest() == (2, "first")
    assert len(machine.told) == 1


def test_a_step_that_was_restored_from_disk_is_sent_at_the_end(bucket):
    Machine(bucket, disk := MemoryRun(), upload_every=10).save(1, 2)
    machine = Machine(bucket, disk, upload_every=10)
    machine.newest()
    machine.tiers.flush()
    assert bucket.indexed == [2]


# Single steps


def test_single_steps(bucket):
    machine = Machine(bucket, upload_every=3, local_keep=2).save(*range(1, 8))
    assert machine.tiers.steps() == [3, 6, 7]
    assert [machine.restore(step) for step in (3, 6, 7)] == ["first"] * 3
    with pytest.raises(CheckpointNotFoundError):
        machine.restore(4)


def test_steps_of_a_line_that_was_left_elsewhere_are_not_listed(bucket):
    stale = Machine(bucket, upload_every=3).save(*range(1, 6))
    another = Machine(bucket)
    another.newest()
    another.save(4, line="second")
    with pytest.warns(RecoveryWarning):
        assert stale.again().tiers.steps() == [3, 4]
    with pytest.warns(RecoveryWarning):
        assert stale.again().tiers.newest_step() == 4


def test_metrics_of_either_tier(bucket):
    machine = Machine(bucket, upload_every=2)
    for step, loss in [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.6)]:
        machine.save(step, metrics={"loss": loss})
    tiers = machine.again().tiers
    assert tiers.metrics(3) == {"loss": 0.3}
    assert (tiers.best_step("loss", "min"), tiers.best_step("loss", "max")) == (3, 4)


def test_deleting_a_step_from_both(bucket):
    machine = Machine(bucket, upload_every=2).save(1, 2, 3, 4)
    machine.tiers.delete(4)
    assert (machine.disk.indexed, bucket.indexed) == ([2, 3], [2])
    assert machine.again().newest() == (3, "first")
    machine.tiers.delete(3)
    assert machine.again().newest() == (2, "first")


def test_deleting_the_last_step_on_disk_and_not_the_last_of_all(bucket):
    machine = Machine(bucket, local_keep=1).save(1, 2)
    machine.tiers.delete(2)
    assert (machine.disk.indexed, bucket.indexed) == ([], [1])
    again = machine.again()
    with pytest.warns(RecoveryWarning):
        assert again.newest() == (1, "first")


def test_what_is_saved_after_deleting_the_newest_of_the_bucket_counts(bucket):
    Machine(bucket).save(1, 2)
    machine = Machine(bucket, upload_every=10)
    machine.newest()
    machine.tiers.delete(2)
    machine.save(3)
    assert machine.again().newest() == (3, "first")


@pytest.mark.parametrize("restored", [False, True])
def test_deleting_what_local_steps_have_come_from_costs_none_of_them(bucket, restored):
    Machine(bucket).save(1, 2)
    machine = Machine(bucket, upload_every=10)
    machine.newest()
    machine.save(3, 4)
    again = machine.again()
    if restored:
        again.newest()
    again.tiers.delete(2)
    assert bucket.indexed == [1, 4]
    assert machine.again().newest() == (4, "first")


def test_a_step_that_was_left_can_be_deleted(bucket):
    machine = Machine(bucket, bucket_keep=None).save(1, 2, 3)
    machine.restore(1)
    machine.save(2, line="second")
    assert bucket.indexed == [1, 2, 3]
    machine.tiers.delete(3)
    assert bucket.indexed == [1, 2]
    assert machine.again().newest() == (2, "second")


def test_the_end_after_deleting_the_newest_local_step(bucket):
    machine = Machine(bucket, upload_every=10).save(1, 2, 3)
    machine.tiers.delete(3)
    machine.tiers.flush()
    assert bucket.indexed == [2]


def test_deleting_the_last_step_of_all_is_refused(bucket):
    machine = Machine(bucket, upload_every=10).save(1)
    with pytest.raises(InvalidArgumentError, match="last one"):
        machine.tiers.delete(1)
    with pytest.raises(CheckpointNotFoundError):
        machine.tiers.delete(2)
