"""File descriptors that several threads share, and those that readers pin."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudckpt.storage.local_version import refuse_pipe

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN_FILES = 64
"""Descriptors that one store keeps open for its readers."""


class SharedDescriptor:
    """A descriptor that is closed when it is no longer wanted and the last thread has left it.

    Closing it under a thread that still reads or writes would let the system give the number to another file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._users = 0
        self._wanted = True

    def acquire(self) -> int:
        """Enter; `release` must follow. Raises ValueError when it was closed."""
        with self._lock:
            if not self._wanted:
                raise ValueError("the file is closed")
            self._users += 1
            return self._descriptor

    def release(self) -> None:
        """Leave."""
        with self._lock:
            self._users -= 1
            self._close_when_free()

    def close(self) -> None:
        """Let nobody in any more; a second time does nothing."""
        with self._lock:
            if self._wanted:
                self._wanted = False
                self._close_when_free()

    def _close_when_free(self) -> None:
        if not self._wanted and not self._users:
            os.close(self._descriptor)

    @contextmanager
    def use(self) -> Iterator[int]:
        """The descriptor, open until the block ends."""
        descriptor = self.acquire()
        try:
            yield descriptor
        finally:
            self.release()


class DescriptorCache:
    """Files that stay open between reads of one version; the least recently used go first."""

    def __init__(self, limit: int = OPEN_FILES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str], SharedDescriptor] = OrderedDict()

    @contextmanager
    def borrow(self, key: str, version: str | None) -> Iterator[int]:
        """The file, open for reading until the block ends, and longer where a version is asked for."""
        if version is None:
            refuse_pipe(key)
            descriptor = os.open(key, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
            return
        shared, descriptor = self._acquire(key, version)
        try:
            yield descriptor
        finally:
            shared.release()

    def _acquire(self, key: str, version: str) -> tuple[SharedDescriptor, int]:
        with self._lock:
            shared = self._open.get((key, version))
            if shared is None:
                shared = SharedDescriptor(os.open(key, os.O_RDONLY | os.O_CLOEXEC))
                self._open[key, version] = shared
            descriptor = shared.acquire()
            self._open.move_to_end((key, version))
            while len(self._open) > self._limit:
                self._open.popitem(last=False)[1].close()
            return shared, descriptor

    def forget(self, key: str) -> None:
        """Close what is open of a file, so that a deleted one gives its disk space back."""
        with self._lock:
            for pinned in [pinned for pinned in self._open if pinned[0] == key]:
                self._open.pop(pinned).close()

    def close(self) -> None:
        """Close all."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
