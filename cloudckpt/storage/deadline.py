"""The time that a caller gives: one limit around any number of requests, in any number of threads.

A thread that waits for a server does not look at a clock, so the end comes to it: what it waits for is cut off. Ctrl-C
in the thread that waits for others comes to them in the same way.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from cloudckpt.errors import StorageTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "at_least",
    "cut_off",
    "grace",
    "pause",
    "remaining",
    "require_time",
    "time_is_over",
    "time_limit",
    "under_way",
]

GRACE = 10.0
"""Seconds for cleaning up, once the time is over or the user has interrupted."""


class _Limit:
    """A moment after which nothing goes on, inside that of an outer limit, if there is one.

    Args:
        end: by `time.monotonic`; None for no end but `cut`.
        seconds: the time that there was, for messages.
    """

    def __init__(self, end: float | None, seconds: float | None) -> None:
        self.end = end
        self.seconds = seconds
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._cuts: list[Callable[[], None]] = []

    def cut(self) -> None:
        """End it now: whoever sleeps wakes up, and what was given to `cutting` is called."""
        self.over.set()
        with self._lock:
            for cut in self._cuts:
                cut()

    @contextmanager
    def cutting(self, cut: Callable[[], None]) -> Iterator[None]:
        """Let `cut` be called if the limit ends during the block, or has ended; never after the block."""
        with self._lock:
            self._cuts.append(cut)
            if self.over.is_set():
                cut()
        try:
            yield
        finally:
            with self._lock:
                self._cuts.remove(cut)

    def remaining(self) -> float | None:
        """Seconds; None without an end."""
        if self.over.is_set():
            return 0.0
        return None if self.end is None else max(0.0, self.end - time.monotonic())


_current: ContextVar[_Limit | None] = ContextVar("time limit", default=None)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Give the block so much time; an outer limit that ends sooner stays in force. None for no further limit.

    Raises:
        ValueError: the time is not above 0.
    """
    if seconds is None:
        yield
        return
    if not seconds > 0:
        raise ValueError(f"a time limit is a number of seconds above 0, or None; got {seconds!r}")
    outer, end = _current.get(), time.monotonic() + seconds
    if outer is not None and outer.end is not None and outer.end <= end:
        yield
        return
    with _entered(_Limit(end, seconds), outer):
        yield


@contextmanager
def grace(seconds: float = GRACE) -> Iterator[None]:
    """Give the block, which cleans up, so much time, whatever is left of any limit."""
    with _entered(_Limit(time.monotonic() + seconds, seconds), None):
        yield


@contextmanager
def at_least(seconds: float) -> Iterator[None]:
    """Give the block so much time, if there is less."""
    left = remaining()
    with nullcontext() if left is None or left >= seconds else grace(seconds):
        yield


@contextmanager
def cut_off() -> Iterator[Callable[[], None]]:
    """A function that ends at once what the block does, in whatever thread it runs with a copy of this context."""
    outer = _current.get()
    limit = _Limit(None, None) if outer is None else _Limit(outer.end, outer.seconds)
    with _entered(limit, outer):
        yield limit.cut


@contextmanager
def under_way(cut: Callable[[], None]) -> Iterator[None]:
    """Let `cut`, which must not wait, be called from another thread if the time ends during the block."""
    limit = _current.get()
    if limit is None:
        yield
        return
    with limit.cutting(cut):
        yield


def remaining() -> float | None:
    """The seconds that are left; 0.0 when the time is over, None without a limit."""
    limit = _current.get()
    return None if limit is None else limit.remaining()


def require_time(subject: str) -> None:
    """Raise if the time is over.

    Args:
        subject: the object's URL, for the message.

    Raises:
        StorageTimeoutError: it is.
    """
    if remaining() == 0.0:
        raise StorageTimeoutError(f"{subject}: {time_is_over()}", path=subject)


def time_is_over() -> str:
    """Why nothing goes on, as a message says it."""
    limit = _current.get()
    if limit is None or limit.seconds is None:
        return "it was interrupted"
    return f"the time limit of {limit.seconds:g} s is over"


def pause(seconds: float) -> None:
    """Sleep, but not beyond the end of the time."""
    limit = _current.get()
    if limit is None:
        time.sleep(seconds)
        return
    left = limit.remaining()
    limit.over.wait(seconds if left is None else min(seconds, left))


@contextmanager
def _entered(limit: _Limit, outer: _Limit | None) -> Iterator[None]:
    """Make a limit the one in force; it ends by its time, and with the outer one."""
    token = _current.set(limit)
    try:
        with _ending_in_time(limit, outer), nullcontext() if outer is None else outer.cutting(limit.cut):
            yield
    finally:
        _current.reset(token)


@contextmanager
def _ending_in_time(limit: _Limit, outer: _Limit | None) -> Iterator[None]:
    """Cut a limit at its end; one that ends with its outer limit is cut by that."""
    if limit.end is None or (outer is not None and outer.end == limit.end):
        yield
        return
    timer = threading.Timer(min(limit.end - time.monotonic(), threading.TIMEOUT_MAX), limit.cut)
    timer.daemon = True
    with suppress(RuntimeError):  # the interpreter exits: what goes on looks at the clock before each request
        timer.start()
    try:
        yield
    finally:
        if timer.ident is not None:
            timer.cancel()
            timer.join()
