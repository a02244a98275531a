"""Tasks side by side: all of them, or an end as soon as one fails."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from cloudckpt.checkpoint.parallel import run_side_by_side


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_runs_once(threads: int) -> None:
    done: list[int] = []
    run_side_by_side((partial(done.append, number) for number in range(100)), threads=threads)
    assert sorted(done) == [*range(100)]


def test_no_tasks_are_no_work() -> None:
    run_side_by_side([], threads=3)


def test_so_many_run_at_a_time() -> None:
    barrier = threading.Barrier(4)
    running, most, lock = 0, 0, threading.Lock()

    def task() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(10)  # goes on when four are here
        with lock:
            running -= 1

    run_side_by_side([task] * 16, threads=4)
    assert most == 4


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_failure_is_raised_and_the_rest_is_not_started(threads: int) -> None:
    started: list[int] = []

    def task(number: int) -> None:
        started.append(number)
        if number == 5:
            raise RuntimeError("the fifth")

    with pytest.raises(RuntimeError, match="the fifth"):
        run_side_by_side((partial(task, number) for number in range(10_000)), threads=threads)
    assert len(started) < 10_000


def test_tasks_are_taken_when_they_are_run() -> None:
    alive: list[int] = []

    def tasks() -> object:
        for number in range(50):
            alive.append(number)
            assert len(alive) <= 3
            yield partial(alive.remove, number)

    run_side_by_side(tasks(), threads=2)  # type: ignore[arg-type]
