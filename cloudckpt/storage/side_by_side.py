"""Work side by side: a few threads, and an end to all of it as soon as one fails."""

from __future__ import annotations

import threading
from contextvars import copy_context
from itertools import chain, islice
from typing import TYPE_CHECKING

from cloudckpt.storage.deadline import cut_off, require_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["NAP", "run_side_by_side"]

NAP = 0.5
"""Seconds after which a waiting thread looks whether it was interrupted: a signal that comes just before it begins to
wait does not wake it, nor does one that the system gives to another thread."""


def run_side_by_side(tasks: Iterable[Callable[[], None]], *, threads: int) -> None:
    """Run all tasks, at most `threads` at a time; returns or raises only when none is running any more.

    Tasks are taken from the iterable as threads become free, so that what a task holds exists only while it runs. They
    run in copies of the caller's context, and so in its time limit; none begins after its end. What interrupts the
    caller (Ctrl-C) cuts off the requests that are under way.

    Where no thread can be started, as while the interpreter exits, the caller runs all of them itself. (No executor is
    used because none takes work by then, while threads that are at work go on until the exit's last handler is done.)

    Raises:
        BaseException: what the first task to fail raised, or what interrupted the waiting; the rest are not started.
        StorageTimeoutError: the caller's time limit was over before the last task began.
    """
    waiting, lock, stopped = iter(tasks), threading.Lock(), threading.Event()
    first = [*islice(waiting, 2)]
    waiting = chain(first, waiting)
    failures: list[BaseException] = []

    def work() -> None:
        while not stopped.is_set():
            try:
                with lock:
                    task = next(waiting, None)
                if task is None:
                    return
                require_time("the rest of the work was not begun")
                task()
            except BaseException as error:  # noqa: BLE001 - raised below
                failures.append(error)
                stopped.set()

    if threads == 1 or len(first) < 2:
        work()
    else:
        started: list[_Worker] = []
        with cut_off() as cut:
            try:
                _start(work, threads, started)
                _finish(started) if started else work()
            except BaseException:
                cut()
                raise
            finally:
                stopped.set()
                for worker in started:
                    worker.call_off()
                _finish(started)
    if failures:
        raise failures[0]


class _Worker(threading.Thread):
    """A thread whose end can be waited for again when Ctrl-C has interrupted the waiting.

    `Thread.join` can't: before Python 3.13 it takes a running thread for one that has ended then.
    """

    def __init__(self, work: Callable[[], None], number: int) -> None:
        super().__init__(target=copy_context().run, args=(work,), name=f"cloudckpt_{number}")
        self._begun = threading.Lock()
        self._end = threading.Event()

    def run(self) -> None:
        if self._begun.acquire(blocking=False):
            try:
                super().run()
            finally:
                self._end.set()

    def call_off(self) -> None:
        """Keep it from beginning, if it has not begun: Ctrl-C may have come before there was a thread."""
        if self._begun.acquire(blocking=False):
            self._end.set()

    def finish(self) -> None:
        """Wait until its work is done, or called off."""
        while not self._end.wait(NAP):
            pass
        if self.ident is not None:
            self.join()


def _start(work: Callable[[], None], threads: int, started: list[_Worker]) -> None:
    """Start threads that run a function, each in a copy of the caller's context; as many as can be had."""
    try:
        for number in range(threads):
            # It counts as started before it is: Ctrl-C while it starts does not keep it from running.
            started.append(_Worker(work, number))
            started[-1].start()
    except RuntimeError:  # the interpreter exits, or the system has no more threads
        started.pop()


def _finish(started: list[_Worker]) -> None:
    for worker in started:
        worker.finish()
