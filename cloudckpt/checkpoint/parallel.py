"""Work side by side: a few threads, and an end to all of it as soon as one fails."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["THREADS", "run_side_by_side"]

THREADS = 4
"""Requests in flight, of one save, load or verification."""


def run_side_by_side(tasks: Iterable[Callable[[], None]], *, threads: int) -> None:
    """Run all tasks, at most `threads` at a time; returns or raises only when none is running any more.

    Tasks are taken from the iterable as threads become free, so that what a task holds exists only while it runs.

    Raises:
        BaseException: what the first task to fail raised, or what interrupted the waiting; the rest are not started.
    """
    remaining, lock, stopped = iter(tasks), threading.Lock(), threading.Event()

    def work() -> None:
        while not stopped.is_set():
            with lock:
                task = next(remaining, None)
            if task is None:
                return
            try:
                task()
            except BaseException:
                stopped.set()
                raise

    if threads == 1:
        work()
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="cloudckpt") as pool:
        try:
            futures: list[Future[None]] = [pool.submit(work) for _ in range(threads)]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stopped.set()
    for future in futures:
        future.result()
