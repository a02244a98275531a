"""Time limits: nested, over, cut off; in this thread and in others."""

from __future__ import annotations

import signal
import threading
import time
from functools import partial

import pytest

from cloudckpt.errors import StorageTimeoutError, TransientStorageError
from cloudckpt.storage import deadline
from cloudckpt.storage.deadline import (
    at_least,
    cut_off,
    grace,
    pause,
    remaining,
    require_time,
    time_limit,
    under_way,
)
from cloudckpt.storage.side_by_side import run_side_by_side


class Clock:
    """Stands still until it is told; timers wait on the real one, and so never end here."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(deadline.time, "monotonic", clock)
    return clock


def test_without_a_limit_there_is_no_end():
    assert remaining() is None
    require_time("s3://bucket/key")
    with time_limit(None):
        assert remaining() is None


def test_time_passes(clock):
    with time_limit(10):
        assert remaining() == 10.0
        clock.now += 4
        assert remaining() == 6.0
        require_time("s3://bucket/key")
        clock.now += 7
        assert remaining() == 0.0
        with pytest.raises(StorageTimeoutError, match="s3://bucket/key: the time limit of 10 s is over") as failure:
            require_time("s3://bucket/key")
    assert remaining() is None
    assert isinstance(failure.value, (TimeoutError, TransientStorageError))
    assert failure.value.path == "s3://bucket/key"


def test_an_inner_limit_can_only_shorten(clock):
    with time_limit(10):
        with time_limit(100):
            assert remaining() == 10.0
        with time_limit(3):
            assert remaining() == 3.0
            with time_limit(None), time_limit(5):
                assert remaining() == 3.0
        assert remaining() == 10.0


def test_cleaning_up_has_time_of_its_own(clock):
    with time_limit(10):
        clock.now += 20
        with grace(7):
            assert remaining() == 7.0
            require_time("s3://bucket/key")
            with time_limit(2):
                assert remaining() == 2.0
        assert remaining() == 0.0
    with grace(7):
        assert remaining() == 7.0


def test_some_time_at_least(clock):
    with at_least(5):
        assert remaining() is None
    with time_limit(10), at_least(5):
        assert remaining() == 10.0
    with time_limit(3), at_least(5):
        assert remaining() == 5.0


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_limit_is_above_zero(seconds):
    with pytest.raises(ValueError, match="above 0"), time_limit(seconds):
        pass


def test_an_endless_limit_is_none():
    with time_limit(float("inf")):
        assert remaining() == float("inf")


def test_what_is_under_way_is_cut_at_the_end():
    cut = threading.Event()
    with time_limit(0.05), under_way(cut.set):
        assert cut.wait(30)
        assert remaining() == 0.0


def test_what_begins_after_the_end_is_cut_at_once():
    cuts = []
    with cut_off() as cut:
        cut()
        with under_way(lambda: cuts.append("late")):
            assert cuts == ["late"]


def test_what_has_ended_is_not_cut():
    cuts = []
    with cut_off() as cut:
        with under_way(lambda: cuts.append("over")):
            pass
        cut()
        with under_way(lambda: cuts.append("cut")):
            pass
    assert cuts == ["cut"]


def test_a_pause_ends_with_the_time():
    with time_limit(0.05):
        pause(1000)
        assert remaining() == 0.0


def test_the_end_of_an_outer_limit_reaches_all_that_are_inside():
    cut = threading.Event()
    with time_limit(0.05), cut_off(), time_limit(1000), cut_off(), under_way(cut.set):
        assert cut.wait(30)


def test_a_cut_reaches_inwards_only():
    with cut_off() as outer:
        with cut_off() as inner:
            inner()
            assert remaining() == 0.0
        assert remaining() is None
        with cut_off():
            outer()
            assert remaining() == 0.0
            with grace():
                assert remaining() > 1


def test_no_thread_stays():
    before = threading.active_count()
    for _ in range(3):
        with time_limit(1000):
            assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_tasks_side_by_side_are_in_the_callers_limit(clock):
    seen = []
    with time_limit(10):
        clock.now += 1
        run_side_by_side([lambda: seen.append(remaining())] * 4, threads=2)
    assert seen == [9.0] * 4


@pytest.mark.parametrize("threads", [1, 3])
def test_no_task_begins_after_the_end(clock, threads):
    done = []

    def task():
        done.append(1)
        clock.now += 100

    with pytest.raises(StorageTimeoutError, match="the time limit of 10 s is over"), time_limit(10):
        run_side_by_side([task] * 50, threads=threads)
    assert len(done) <= threads


def test_the_first_failure_is_the_one_that_is_raised():
    failed = threading.Event()

    def second():
        failed.wait(30)
        raise ValueError("second")

    def first():
        try:
            raise KeyError("first")
        finally:
            threading.Timer(0.05, failed.set).start()

    with pytest.raises(KeyError, match="first"):
        run_side_by_side([second, first], threads=2)


def test_an_interrupt_reaches_the_requests_of_other_threads():
    started, ended = threading.Barrier(3), []

    def task():
        cut = threading.Event()
        with under_way(cut.set):
            started.wait(30)
            ended.append(cut.wait(30))

    def interrupt():
        started.wait(30)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    began = time.monotonic()
    user = threading.Thread(target=interrupt)
    user.start()
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([task] * 2, threads=2)
    user.join()
    assert ended == [True, True]
    assert time.monotonic() - began < 25


def test_where_no_thread_can_be_started_the_limits_hold_and_the_caller_works(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = []
    with time_limit(30):
        run_side_by_side([partial(done.append, number) for number in range(10)], threads=4)
        assert remaining() > 0
    assert done == [*range(10)]
    with pytest.raises(ZeroDivisionError):
        run_side_by_side([lambda: 1 / 0, lambda: done.append(10)], threads=4)
    assert done == [*range(10)]
