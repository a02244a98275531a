"""How much of a save, a load or a verification goes on side by side, and in how much memory."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from cloudckpt.storage.side_by_side import run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.storage.store import Store

__all__ = ["COPIED_BYTES", "MemoryLimit", "behind", "run_side_by_side", "writing_threads"]

COPIED_BYTES = 96 << 20
"""What one save or load has at most of bytes that can't go straight from or to the arrays, whatever is in flight."""


class MemoryLimit:
    """Lets tasks that run side by side begin only as long as there is memory for them."""

    def __init__(self, size: int = COPIED_BYTES) -> None:
        self._size, self._taken = size, 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until so many bytes are free, and hold them for the block; one task alone may have more than there are.

        Who holds some must not ask for more: two such tasks would wait for each other.
        """
        if not size:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


_share: ContextVar[int] = ContextVar("one processor of how many", default=1)

SHARE_BEHIND = 4


@contextmanager
def behind() -> Iterator[None]:
    """Let the block write behind something that matters more: with one thread for every four processors."""
    token = _share.set(SHARE_BEHIND)
    try:
        yield
    finally:
        _share.reset(token)


def writing_threads(store: Store) -> int:
    """How many threads write: what they do on a disk of this machine is work for its processors, not waiting."""
    most = store.max_concurrency
    processors = max(1, (os.cpu_count() or 1) // _share.get())
    return min(most, processors) if store.capabilities.local_files else most
