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


_is_behind: ContextVar[bool] = ContextVar("whether it writes behind something that matters more", default=False)

PROCESSORS_PER_WRITER = 4
CONNECTIONS_PER_PROCESSOR = 2


@contextmanager
def behind() -> Iterator[None]:
    """Let the block write behind something that matters more, by fewer threads: for its processors, and the server's.

    To a disk by one for every four processors, elsewhere by two for each.
    """
    token = _is_behind.set(True)
    try:
        yield
    finally:
        _is_behind.reset(token)


def writing_threads(store: Store) -> int:
    """How many threads write: what they do on a disk of this machine is work for its processors, not waiting."""
    most, processors = store.max_concurrency, os.cpu_count() or 1
    if store.capabilities.local_files:
        return min(most, max(1, processors // PROCESSORS_PER_WRITER) if _is_behind.get() else processors)
    return min(most, processors * CONNECTIONS_PER_PROCESSOR) if _is_behind.get() else most
