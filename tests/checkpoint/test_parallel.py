"""Tasks side by side: all of them, or an end as soon as one fails."""

from __future__ import annotations

import os
import threading
from functools import partial

import fsspec
import pytest

from cloudckpt.checkpoint.parallel import MemoryLimit, behind, run_side_by_side, writing_threads
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.store import Capabilities


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


def test_one_task_needs_no_thread() -> None:
    ran_in: list[int] = []
    run_side_by_side([lambda: ran_in.append(threading.get_ident())], threads=4)
    assert ran_in == [threading.get_ident()]


def test_tasks_share_memory() -> None:
    memory, lock = MemoryLimit(100), threading.Lock()
    taken, most, done = 0, 0, 0

    def task(size: int) -> None:
        nonlocal taken, most, done
        with memory.taken(size):
            with lock:
                taken += size
                most = max(most, taken)
            threading.Event().wait(0.001)
            with lock:
                taken -= size
                done += 1

    run_side_by_side((partial(task, size) for size in [40, 0, 60, 30, 100, 1] * 10), threads=8)
    assert done == 60
    assert 40 < most <= 100


def test_a_task_alone_may_have_more_than_there_is() -> None:
    memory = MemoryLimit(100)
    with memory.taken(1000):
        begun = threading.Event()

        def another() -> None:
            with memory.taken(1):
                begun.set()

        thread = threading.Thread(target=another)
        thread.start()
        assert not begun.wait(0.05)
    assert begun.wait(10)
    thread.join()


def test_memory_is_given_back_after_a_failure() -> None:
    memory = MemoryLimit(100)
    with pytest.raises(RuntimeError), memory.taken(100):
        raise RuntimeError
    with memory.taken(100):
        pass


class FakeStore(MemoryStore):
    max_concurrency = 1000

    def __init__(self, *, local: bool) -> None:
        super().__init__(fsspec.filesystem("memory"))
        self.local = local

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(local_files=self.local)


def test_writing_to_a_disk_is_work_for_the_processors() -> None:
    assert writing_threads(FakeStore(local=False)) == 1000
    assert writing_threads(FakeStore(local=True)) == os.cpu_count()


@pytest.mark.parametrize(("processors", "local", "remote"), [(1, 1, 2), (2, 1, 4), (8, 2, 16), (64, 16, 128)])
def test_fewer_of_them_write_behind_something(
    processors: int, local: int, remote: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    with behind():
        assert writing_threads(FakeStore(local=True)) == local
        assert writing_threads(FakeStore(local=False)) == remote
    assert writing_threads(FakeStore(local=False)) == 1000
