"""Saves behind a training loop: what becomes of the next one, of errors, of time, and of what is dropped."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import weakref

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.errors import CommitConflictError, StorageError, StorageTimeoutError
from cloudckpt.manager.background.at_exit import at_exit
from cloudckpt.manager.background.flight import Flight
from cloudckpt.manager.background.saves import BackgroundSaves
from cloudckpt.manager.background.snapshot import SnapshotBuffers
from cloudckpt.storage.deadline import pause, remaining, require_time, time_limit
from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, same, tree

WAIT = 30


class Recorder:
    """Saves that end when they are told to; `saved` has the values that they saw, at their end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.saved: list[int] = []

    def __call__(self, snapshot) -> None:
        self.begun.release()
        assert self.may_end.acquire(timeout=WAIT)
        self.saved.append(int(snapshot["x"][0]))


@pytest.fixture
def recorder():
    recorder = Recorder()
    yield recorder
    recorder.may_end.release(100)


class Loop:
    """A training loop's state, which it goes on writing to."""

    def __init__(self, saves: BackgroundSaves) -> None:
        self.saves, self.array = saves, np.zeros(1000, np.int64)

    def save(self, step, save) -> bool:
        self.array[:] = step
        begun = self.saves.start(f"step {step}", {"x": self.array}, save)
        self.array[:] = -1
        return begun


def fail(_):
    raise StorageError("the bucket is gone")


def refuse(_):
    raise RuntimeError("can't create new thread at interpreter shutdown")


def test_the_loop_goes_on_while_its_state_is_saved(recorder):
    loop = Loop(BackgroundSaves())
    assert loop.save(1, recorder)
    assert recorder.begun.acquire(timeout=WAIT)
    assert loop.saves.is_busy
    recorder.may_end.release()
    loop.saves.wait()
    assert not loop.saves.is_busy
    assert recorder.saved == [1]


def test_the_next_waits(recorder):
    loop = Loop(BackgroundSaves("wait"))
    loop.save(1, recorder)
    threading.Timer(0.05, recorder.may_end.release).start()
    assert loop.save(2, recorder)
    assert recorder.saved == [1]
    recorder.may_end.release()
    loop.saves.wait()
    assert recorder.saved == [1, 2]


def test_the_next_is_skipped(recorder, caplog):
    loop = Loop(BackgroundSaves("skip"))
    assert loop.save(1, recorder)
    assert not loop.save(2, recorder)
    assert "step 2 is not saved: the save of step 1 is still under way" in caplog.text
    recorder.may_end.release(2)
    loop.saves.wait()
    assert loop.save(3, recorder)
    loop.saves.wait()
    assert recorder.saved == [1, 3]


def test_the_next_replaces_the_one_that_waits_and_never_the_one_in_flight(recorder):
    loop = Loop(BackgroundSaves("replace"))
    loop.save(0, recorder)
    assert recorder.begun.acquire(timeout=WAIT)
    for step in range(1, 5):
        assert loop.save(step, recorder)
    recorder.may_end.release(2)
    loop.saves.wait()
    assert recorder.saved == [0, 4]


def test_when_a_save_has_been_waited_for_nothing_of_it_is_left_in_another_thread():
    # The exit of the interpreter stops threads where they are: one that just then frees an array of JAX's aborts it.
    saves, array = BackgroundSaves(), np.ones(8)
    left = weakref.ref(array)
    threads = set(threading.enumerate())
    saves.start("x", {"x": array}, lambda _: None, frozen={"x"})
    del array
    saves.wait()
    assert set(threading.enumerate()) == threads
    assert left() is None


def test_two_sets_of_buffers_do_for_any_number_of_saves(recorder):
    arenas = set()
    recorder.may_end.release(100)
    loop = Loop(BackgroundSaves("replace"))

    def save(snapshot):
        arenas.add(snapshot["x"].ctypes.data)
        recorder(snapshot)

    for step in range(20):
        loop.save(step, save)
    loop.saves.wait()
    assert len(arenas) <= 2
    assert recorder.saved[-1] == 19
    assert recorder.saved == sorted(recorder.saved)


def test_there_is_no_other_policy():
    with pytest.raises(ValueError, match="wait, skip, replace; got 'cancel'"):
        BackgroundSaves("cancel")


@pytest.mark.parametrize("when_busy", ["wait", "skip", "replace"])
def test_an_error_comes_up_at_the_next_save_once(when_busy, recorder):
    loop = Loop(BackgroundSaves(when_busy))
    recorder.may_end.release(10)
    loop.save(1, fail)
    loop.saves.settle()
    with pytest.raises(StorageError, match="the bucket is gone"):
        loop.save(2, recorder)
    assert loop.save(3, recorder)
    loop.saves.wait()
    assert recorder.saved == [3]


def test_an_error_of_the_save_that_is_waited_for_comes_up_at_once(recorder):
    loop = Loop(BackgroundSaves("wait"))

    def fail_late(snapshot):
        recorder(snapshot)
        fail(snapshot)

    loop.save(1, fail_late)
    threading.Timer(0.05, recorder.may_end.release).start()
    with pytest.raises(StorageError):
        loop.save(2, recorder)
    loop.saves.wait()
    assert recorder.saved == [1]


@pytest.mark.parametrize("ask", [BackgroundSaves.wait, BackgroundSaves.check_for_errors])
def test_an_error_comes_up_when_asked_for_once(ask):
    loop = Loop(BackgroundSaves())
    loop.save(1, fail)
    loop.saves.settle()
    with pytest.raises(StorageError):
        ask(loop.saves)
    ask(loop.saves)


def test_several_errors_come_up_together(recorder):
    loop = Loop(BackgroundSaves("replace"))

    def fail_late(snapshot):
        recorder(snapshot)
        raise StorageError(f"nothing of {recorder.saved[-1]}")

    loop.save(1, fail_late)
    recorder.begun.acquire(timeout=WAIT)
    loop.save(2, fail_late)
    recorder.may_end.release(2)
    with pytest.raises(StorageError, match="nothing of 1") as failure:
        loop.saves.wait()
    assert failure.value.__notes__ == ["The save of step 2 failed too: StorageError('nothing of 2')"]
    loop.saves.wait()


def test_a_snapshot_that_fails_costs_nothing_else(recorder):
    loop = Loop(BackgroundSaves())
    recorder.may_end.release(10)
    loop.save(1, recorder)
    loop.saves.wait()
    with pytest.raises(AttributeError):
        loop.saves.start("nonsense", {"x": None}, recorder)
    assert loop.save(2, recorder)
    loop.saves.wait()
    assert recorder.saved == [1, 2]


def test_waiting_has_an_end(recorder):
    loop = Loop(BackgroundSaves())
    loop.save(1, recorder)
    with pytest.raises(StorageTimeoutError, match=r"the save of step 1 is still under way after 0\.01 s"):
        loop.saves.wait(0.01)
    recorder.may_end.release()
    loop.saves.wait(WAIT)
    assert recorder.saved == [1]


def test_what_fits_the_time_is_finished(recorder):
    loop = Loop(BackgroundSaves())
    assert loop.saves.finish_within(1)
    loop.save(1, recorder)
    threading.Timer(0.05, recorder.may_end.release).start()
    assert loop.saves.finish_within(WAIT)
    assert recorder.saved == [1]


def test_what_does_not_fit_the_time_is_cut_off(caplog):
    loop = Loop(BackgroundSaves("replace"))
    reached = []

    def save(snapshot):
        with time_limit(1000):
            pause(1000)
            require_time("s3://bucket/key")
        reached.append(snapshot)

    loop.save(1, save)
    loop.save(2, save)
    assert not loop.saves.finish_within(0.2)
    assert not loop.saves.is_busy
    assert "the save of step 1 and the save of step 2 is given up" in caplog.text
    loop.saves.wait()
    assert reached == []


def test_what_ends_well_although_it_was_cut_off_is_no_loss(caplog):
    loop = Loop(BackgroundSaves())
    loop.save(1, lambda _: pause(1000))
    assert loop.saves.finish_within(0.2)
    assert "step 1 was saved all the same" in caplog.text


def test_what_can_not_be_cut_off_is_left_alone(recorder, caplog):
    loop = Loop(BackgroundSaves())
    loop.save(1, recorder)
    assert not loop.saves.finish_within(0.05)
    assert "has not ended within" in caplog.text
    recorder.may_end.release()
    loop.saves.wait()
    assert recorder.saved == [1]


def test_a_save_after_one_that_was_cut_off(recorder):
    loop = Loop(BackgroundSaves())
    loop.save(1, lambda _: pause(1000))
    loop.saves.finish_within(0.2)
    limits = []
    loop.save(2, lambda _: limits.append(remaining()))
    loop.saves.wait()
    assert limits == [None]


def test_what_nobody_asks_for_is_logged(caplog):
    loop = Loop(BackgroundSaves())
    loop.save(1, fail)
    loop.saves.settle()
    assert caplog.text == ""
    del loop
    gc.collect()
    assert "step 1 could not be saved in the background, and is lost: the bucket is gone" in caplog.text


def test_a_save_goes_on_when_its_manager_is_dropped(recorder, caplog):
    loop = Loop(BackgroundSaves())
    ended = threading.Event()

    def fail_late(snapshot):
        recorder(snapshot)
        ended.set()
        fail(snapshot)

    loop.save(1, fail_late)
    del loop
    gc.collect()
    (flight,) = at_exit.unfinished
    recorder.may_end.release()
    assert flight.settle(WAIT)
    assert recorder.saved == [1]
    assert "step 1 could not be saved in the background" in caplog.text
    assert at_exit.unfinished == frozenset()


def test_where_no_thread_can_be_started_a_save_is_made_at_once(monkeypatch, recorder):
    loop = Loop(BackgroundSaves())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    recorder.may_end.release()
    loop.save(1, recorder)
    assert recorder.saved == [1]
    loop.save(2, fail)
    with pytest.raises(StorageError):
        loop.saves.wait()


def test_once_the_exit_has_begun_a_save_is_made_at_once(monkeypatch, recorder):
    monkeypatch.setattr(at_exit, "has_begun", True)
    loop = Loop(BackgroundSaves())
    recorder.may_end.release()
    loop.save(1, recorder)
    assert recorder.saved == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_a_save_gives_way_to_the_loop():
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    found = []
    loop = Loop(BackgroundSaves())
    before = niceness()
    loop.save(1, lambda _: found.append(niceness()))
    loop.saves.wait()
    assert found[0] > before
    assert niceness() == before


@pytest.mark.parametrize("when_busy", ["wait", "replace"])
def test_saves_that_begin_at_once_are_all_made_or_withdrawn(monkeypatch, recorder, when_busy):
    saves, withdrawn = BackgroundSaves(when_busy), []
    saves.start("first", {"x": np.array([0])}, recorder)
    take, together = SnapshotBuffers.take, threading.Barrier(3)

    def taken_together(*args):
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.5)
        return take(*args)

    monkeypatch.setattr(SnapshotBuffers, "take", taken_together)

    def save(number):
        saves.start(f"{number}", {"x": np.array([number])}, recorder, withdrawn=lambda: withdrawn.append(number))

    threads = [threading.Thread(target=save, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    recorder.may_end.release()
    threading.Timer(1.0, recorder.may_end.release, [100]).start()
    for thread in threads:
        thread.join()
    saves.wait()
    assert sorted([*recorder.saved, *withdrawn]) == [0, 1, 2, 3]


@pytest.mark.parametrize("moment", ["before it", "in it", "after it"])
def test_ctrl_c_while_a_save_begins_leaves_nothing_to_wait_for_in_vain(monkeypatch, recorder, moment):
    loop, start = Loop(BackgroundSaves()), threading.Thread.start

    def interrupted(thread):
        if moment != "before it":
            start(thread)
            assert recorder.begun.acquire(timeout=WAIT)
        if moment == "after it":
            recorder.may_end.release()
            thread.join()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        loop.save(1, recorder)
    recorder.may_end.release(100)
    loop.saves.wait(WAIT)
    loop.save(2, recorder)
    loop.saves.wait(WAIT)
    assert recorder.saved == ([2] if moment == "before it" else [1, 2])
    assert len(loop.saves._flights.get()._free) == 1  # whose memory no two saves may share


def test_a_thread_that_comes_too_late_leaves_alone_what_was_taken_back(monkeypatch, recorder):
    loop, late = Loop(BackgroundSaves()), []

    def interrupted(thread):
        late.append(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        loop.save(1, recorder)
    late[0].start()
    late[0].join()
    assert recorder.saved == []


def test_nothing_to_say_of_nothing():
    assert str(Flight()) == "no save"


# The manager's.


def test_a_manager_saves_behind():
    run = MemoryRun()
    with run.manager(asynchronous=True, max_to_keep=2) as manager:
        for step in range(5):
            state = tree(step)
            assert manager.save(step, state) == f"{manager.directory}/ckpt-{step}"
            state["w"][:] = -1
        manager.wait()
        assert run.named == run.indexed == [3, 4]
        restored, step = manager.restore_latest()
        assert step == 4
        assert same(restored, tree(4))


@pytest.mark.parametrize("call", ["save", "wait", "restore_latest", "delete", "close"])
def test_a_listener_does_not_wait_for_the_save_that_calls_it(call, caplog):
    run = MemoryRun()
    arguments = {"save": (3, tree(3)), "delete": (1,)}.get(call, ())

    def listen(report):
        if isinstance(report, ckpt.reports.SaveReport) and report.step == 2:
            getattr(manager, call)(*arguments)

    with run.manager(asynchronous=True, on_event=listen) as manager:
        manager.save(1, tree(1))
        manager.save(2, tree(2))
        manager.wait(WAIT)
        assert "can't wait for it: do that in another thread" in caplog.text
        manager.save(4, tree(4))
    assert run.named == [1, 2, 4]


def test_an_error_comes_up_at_a_step_that_is_not_due():
    run = MemoryRun()
    store = FaultyStore(run.store, 3, "before", error=StorageError("the disk is on fire"))
    with run.manager(store, asynchronous=True, save_every_n_steps=100) as manager:
        manager.save(100, tree(100))
        manager.restore_latest(default=None)
        with pytest.raises(StorageError, match="on fire"):
            manager.save(101, tree(101))
        assert manager.save(102, tree(102)) is None


def test_leaving_the_block_waits():
    run = MemoryRun()
    with run.manager(asynchronous=True) as manager:
        manager.save(1, tree(1))
    assert run.named == [1]


@pytest.mark.parametrize("look", ["restore", "restore_latest", "delete"])
def test_what_needs_the_save_in_flight_waits_for_it(look):
    run = MemoryRun()
    with run.manager(asynchronous=True) as manager:
        manager.save(1, tree(1))
        manager.save(2, tree(2))
        if look == "delete":
            manager.delete(2)
            assert manager.all_steps() == [1]
        elif look == "restore":
            assert same(manager.restore(2), tree(2))
        else:
            assert manager.restore_latest()[1] == 2


def test_what_fails_behind_comes_up_at_the_end_of_the_block():
    run = MemoryRun()
    store = FaultyStore(run.store, 3, "before", error=StorageError("the disk is on fire"))
    with pytest.raises(StorageError, match="on fire"), run.manager(store, asynchronous=True) as manager:
        manager.save(1, tree(1))
    assert run.named == []


def test_what_fails_behind_does_not_hide_what_ended_the_block(caplog):
    run = MemoryRun()
    store = FaultyStore(run.store, 3, "before", error=StorageError("the disk is on fire"))
    with pytest.raises(ZeroDivisionError) as failure, run.manager(store, asynchronous=True) as manager:
        manager.save(1, tree(1))
        raise ZeroDivisionError
    assert "on fire" in failure.value.__notes__[0]
    assert "on fire" in caplog.text


def test_who_has_lost_to_another_writer_raises_at_every_save():
    run = MemoryRun()
    with run.manager(asynchronous=True) as manager:
        manager.save(1, tree(1))
        manager.wait()
        with run.manager() as other:
            other.restore_latest()
            other.save(2, tree(2))
        for step in (3, 4):
            manager.save(step, tree(step))
            with pytest.raises(CommitConflictError):
                manager.wait()
        assert run.named == [1, 2]
        manager.restore_latest()
        manager.save(5, tree(5))
        manager.wait()
    assert run.named == [1, 2, 3, 5]  # the first to lose had committed its checkpoint, which recovery has found


def test_a_step_is_not_saved_by_the_call_that_raises_for_another():
    run = MemoryRun()
    store = FaultyStore(run.store, 3, "before", error=StorageError("the disk is on fire"))
    with run.manager(store, asynchronous=True) as manager:
        manager.save(1, tree(1))
        manager.restore_latest(default=None)
        with pytest.raises(StorageError, match="on fire"):
            manager.save(2, tree(2))
        manager.save(2, tree(2))
    assert run.named == [2]


def test_the_time_limit_is_the_save_s_own(monkeypatch):
    run, limits = MemoryRun(), []
    store = run.store
    put = type(store).put

    def seen(*args, **options):
        limits.append(remaining())
        return put(*args, **options)

    monkeypatch.setattr(type(store), "put", seen)
    with run.manager(store, asynchronous=True, timeout=100) as manager:
        manager.save(1, tree(1))
    assert limits
    assert all(limit is not None and 0 < limit <= 100 for limit in limits)
