"""Work side by side: a few threads, and an end to all of it as soon as one fails."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from itertools import chain, islice
from typing import TYPE_CHECKING

from cloudckpt.storage.deadline import cut_off, require_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["run_side_by_side"]


def run_side_by_side(tasks: Iterable[Callable[[], None]], *, threads: int) -> None:
    """Run all tasks, at most `threads` at a time; returns or raises only when none is running any more.

    Tasks are taken from the iterable as threads become free, so that what a task holds exists only while it runs. They
    run in copies of the caller's context, and so in its time limit; none begins after its end. What interrupts the
    caller (Ctrl-C) cuts off the requests that are under way.

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
            except BaseException as error:
                failures.append(error)
                stopped.set()
                raise

    if threads == 1 or len(first) < 2:
        work()
        return
    with cut_off() as cut, ThreadPoolExecutor(threads, thread_name_prefix="cloudckpt") as pool:
        try:
            futures: list[Future[None]] = [pool.submit(copy_context().run, work) for _ in range(threads)]
            wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:
            cut()
            raise
        finally:
            stopped.set()
    if failures:
        raise failures[0]
