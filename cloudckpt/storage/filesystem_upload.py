"""One object of an fsspec filesystem on its way: a temporary object beside it, then a move."""

from __future__ import annotations

import logging
import posixpath
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import StorageError, TransientStorageError
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.filesystem_errors import classified
from cloudckpt.storage.single_writer import require_absent
from cloudckpt.storage.store import IfAbsent, ObjectInfo, Upload
from cloudckpt.storage.temporaries import temporary_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.filesystem import FilesystemStore
    from cloudckpt.storage.store import WriteCondition

_log = logging.getLogger(__name__)


class FilesystemUpload(Upload):
    """An object of known size, written in order through one open file of the filesystem.

    Args:
        store: that it belongs to.
        filesystem: of the store.
        key: the object.
        size: bytes, exactly.
        condition: `Always` or `IfAbsent`, looked at before the move.
    """

    part_size = 8 << 20

    def __init__(self, store: FilesystemStore, filesystem: Any, key: str, size: int, condition: WriteCondition) -> None:
        self._store, self._filesystem, self._key, self._url = store, filesystem, key, store.url(key)
        self._size, self._condition = size, condition
        folder, name = posixpath.split(key)
        self._temporary = posixpath.join(folder, temporary_name(name))
        self._position = 0
        self._open = True
        self._closed = False
        with classified(self._url, filesystem):
            self._file = self._opened()

    def _opened(self) -> Any:
        """The temporary object, open for writing."""
        folder = posixpath.dirname(self._key)
        if folder and self._store.has_folders:
            self._filesystem.makedirs(folder, exist_ok=True)
        return self._filesystem.open(self._temporary, "wb")

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        """Send one part. A part that failed can't be sent again: how much of it arrived is not known."""
        if not self._open or offset != self._position:
            raise StorageError(
                f"{self._url}: its parts must be written in order, once: expected byte {self._position}, got {offset}",
                path=self._url,
            )
        with self._once(), classified(self._url, self._filesystem):
            for view in flat_views(buffers):
                self._file.write(view)
                self._position += view.nbytes

    @contextmanager
    def _once(self) -> Iterator[None]:
        """Give the upload up when the block fails: what it does can't be done a second time."""
        try:
            yield
        except StorageError as error:
            self.abort()
            kind = StorageError if isinstance(error, TransientStorageError) else type(error)
            raise kind(f"{error.message}; the upload was given up", path=self._url) from error
        except BaseException:
            self.abort()
            raise

    def complete(self, crc32c: int) -> ObjectInfo:
        """Make it visible. May be called again after a `TransientStorageError`."""
        if not self._closed:
            self._close()
        try:
            with classified(self._url, self._filesystem):
                if isinstance(self._condition, IfAbsent):
                    require_absent(self._store, self._key)
                self._filesystem.mv(self._temporary, self._key)
        except TransientStorageError:
            raise
        except BaseException:
            self.abort()
            raise
        self._open = False
        return self._store.stat(self._key)

    def _close(self) -> None:
        """End the temporary object, and see that it arrived whole."""
        if not self._open or self._position != self._size:
            raise StorageError(
                f"{self._url}: {self._position} of {self._size} bytes were written before it was completed, or it was "
                "completed or aborted before",
                path=self._url,
            )
        with self._once():
            with classified(self._url, self._filesystem):
                self._file.close()
            found = self._store.stat(self._temporary).size
            if found != self._size:
                raise StorageError(f"{self._url}: {found} of {self._size} bytes arrived", path=self._url)
        self._closed = True

    def abort(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            with suppress(Exception):  # closing may send what is left, and fail as the write before it did
                self._file.close()
            self._store.delete([self._temporary])
        except StorageError as error:
            _log.warning("%s: its temporary object %s was left behind: %s", self._url, self._temporary, error)
