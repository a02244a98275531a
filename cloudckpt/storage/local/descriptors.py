"""File descriptors that several threads share, and those that readers pin."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudckpt.storage.local.version import refuse_pipe
from cloudckpt.storage.per_process import PerProcess

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


@dataclass(frozen=True)
class _Kept:
    """What one process keeps open, by key and version."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    files: OrderedDict[tuple[str, str], SharedDescriptor] = field(default_factory=OrderedDict)


class DescriptorCache:
    """Files that stay open between reads of one version; the least recently used go first.

    A forked child opens files of its own. Those that it inherited stay open until it ends: which of them another thread
    of its parent was about to close, nobody knows.
    """

    def __init__(self, limit: int = OPEN_FILES) -> None:
        self._limit = limit
        self._kept = PerProcess(_Kept)

    @contextmanager
    def _held(self) -> Iterator[OrderedDict[tuple[str, str], SharedDescriptor]]:
        """What is open, for this thread alone."""
        kept = self._kept.get()
        with kept.lock:
            yield kept.files

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
        with self._held() as kept:
            shared = kept.get((key, version))
            if shared is None:
                shared = kept[key, version] = SharedDescriptor(os.open(key, os.O_RDONLY | os.O_CLOEXEC))
            descriptor = shared.acquire()
            kept.move_to_end((key, version))
            while len(kept) > self._limit:
                kept.popitem(last=False)[1].close()
            return shared, descriptor

    def forget(self, key: str) -> None:
        """Close what is open of a file, so that a deleted one gives its disk space back."""
        with self._held() as kept:
            for pinned in [pinned for pinned in kept if pinned[0] == key]:
                kept.pop(pinned).close()

    def close(self) -> None:
        """Close all."""
        with self._held() as kept:
            while kept:
                kept.popitem()[1].close()
