"""What goes to a store and comes from it: requests, retries and bytes, counted for whoever asks."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Traffic", "counted", "record"]


class Traffic:
    """Counters that several threads add to, once a request or part.

    Attributes:
        requests: what was asked of servers, whether or not an answer came; of a local disk, or of memory, the reads and
            writes of files' bytes; of Azure, and of a filesystem of fsspec, operations, which may be several requests.
        retries: how many operations were done once more, as they had failed in a way that may pass.
        sent: bytes of bodies that servers answered, or that a disk has taken.
        received: bytes of answers' bodies, or that were read from a disk; pages of files that are mapped into memory
            are not among them.
    """

    def __init__(self, outer: Traffic | None = None) -> None:
        self.requests = 0
        self.retries = 0
        self.sent = 0
        self.received = 0
        self._outer = outer
        self._lock = threading.Lock()

    def add(self, *, requests: int = 0, retries: int = 0, sent: int = 0, received: int = 0) -> None:
        """Count so much more, here and in whatever counts around it."""
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.sent += sent
            self.received += received
        if self._outer is not None:
            self._outer.add(requests=requests, retries=retries, sent=sent, received=received)


_current: ContextVar[Traffic | None] = ContextVar("traffic", default=None)


@contextmanager
def counted(into: Traffic | None = None) -> Iterator[Traffic]:
    """Count what the block asks of any store, in this thread and in those that run in copies of its context.

    Args:
        into: counters to add to; by default new ones, which add to those of an outer block, too.
    """
    traffic = Traffic(_current.get()) if into is None else into
    token = _current.set(traffic)
    try:
        yield traffic
    finally:
        _current.reset(token)


def record(*, requests: int = 0, retries: int = 0, sent: int = 0, received: int = 0) -> None:
    """Count so much more, if anybody counts. For stores: once a request or part, as it costs a lock."""
    traffic = _current.get()
    if traffic is not None:
        traffic.add(requests=requests, retries=retries, sent=sent, received=received)
