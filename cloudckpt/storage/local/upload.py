"""One file on its way: its parts written side by side under a hidden name, then published."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from cloudckpt.errors import StorageError
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.local.descriptors import SharedDescriptor
from cloudckpt.storage.local.errors import while_writing
from cloudckpt.storage.local.hidden import HiddenFile
from cloudckpt.storage.local.io import allocate, write_from
from cloudckpt.storage.local.version import described, stamp
from cloudckpt.storage.store import ObjectInfo, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.local.durability import Durability
    from cloudckpt.storage.store import WriteCondition


class LocalUpload(Upload):
    """A file of known size, written by any number of threads.

    Args:
        key: its absolute path; folders on the way are made.
        size: its bytes; the disk space is taken at once.
        condition: checked when it completes.
        durability: flushes the file and its folder before `complete` returns.
        replaced: told the key after the file was published.
    """

    part_size = 8 << 20

    def __init__(
        self, key: str, size: int, condition: WriteCondition, durability: Durability, replaced: Callable[[str], None]
    ) -> None:
        self._key, self._size, self._condition, self._replaced = key, size, condition, replaced
        self._written: dict[int, int] = {}
        self._open = True
        self._lock = threading.Lock()
        with while_writing(key):
            self._start(durability)

    def _start(self, durability: Durability) -> None:
        self._hidden = HiddenFile(self._key, durability)
        try:
            self._file = SharedDescriptor(self._hidden.create())
        except BaseException:
            self._hidden.discard()
            raise
        try:
            with self._file.use() as descriptor:
                allocate(descriptor, self._size)
        except BaseException:
            self.abort()
            raise

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        views = flat_views(buffers)
        with while_writing(self._key), self._file.use() as descriptor:
            write_from(descriptor, offset, views)
        with self._lock:
            self._written[offset] = sum(view.nbytes for view in views)

    def complete(self, crc32c: int) -> ObjectInfo:
        try:
            with while_writing(self._key), self._file.use() as descriptor:
                self._check_whole()
                stamp(descriptor)
                info = self._publish(descriptor)
        finally:
            self.abort()
        self._replaced(self._key)
        return info

    def _publish(self, descriptor: int) -> ObjectInfo:
        try:
            self._hidden.publish(descriptor, self._condition)
            return described(self._key, os.fstat(descriptor))
        except BaseException:
            if self._hidden.is_published(descriptor):
                self.unproved = described(self._key, os.fstat(descriptor))
            raise

    def _check_whole(self) -> None:
        written = sum(self._written.values())
        if written != self._size:
            raise StorageError(
                f"{self._key}: {written} of {self._size} bytes were written; all parts must be before it is completed",
                path=self._key,
            )

    def abort(self) -> None:
        with self._lock:
            was_open, self._open = self._open, False
        if not was_open:
            return
        self._file.close()
        self._hidden.discard()
