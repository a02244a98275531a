"""One object of an fsspec filesystem on its way: a temporary object beside it, then a move."""

from __future__ import annotations

import logging
import posixpath
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import ObjectNotFoundError, PreconditionFailedError, StorageError, TransientStorageError
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.filesystem.errors import classified
from cloudckpt.storage.single_writer import require_absent
from cloudckpt.storage.store import IfAbsent, ObjectInfo, Upload
from cloudckpt.storage.temporaries import temporary_name
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.filesystem.store import FilesystemStore
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
        part_size: bytes that are handed to the file at once.
    """

    def __init__(
        self, store: FilesystemStore, filesystem: Any, key: str, size: int, condition: WriteCondition, *, part_size: int
    ) -> None:
        self.part_size = part_size
        self._store, self._filesystem, self._key, self._url = store, filesystem, key, store.url(key)
        self._size, self._condition = size, condition
        folder, name = posixpath.split(key)
        self._temporary = posixpath.join(folder, temporary_name(name))
        self._position = 0
        self._open = True
        self._closed = False
        self._moving = False
        """Once a move was tried, whose outcome may be unknown."""
        self._copies = not store.capabilities.atomic_rename
        """A move that was cut short may have left the whole object, or a part of it, in its place."""
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
            record(sent=self._position - offset)

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
        """Make it visible. May be called again after a `TransientStorageError`: a move that went well is recognised."""
        if not self._closed:
            self._close()
        try:
            if not (self._moving and self._has_moved()):
                self._move()
            info = self._moved_whole()
        except TransientStorageError:
            raise
        except BaseException:
            self.abort()
            raise
        self._open = False
        return info

    def _move(self) -> None:
        if isinstance(self._condition, IfAbsent) and not (self._moving and self._copies):
            require_absent(self._store, self._key)
        self._moving = True
        if self._renamed():
            return
        if isinstance(self._condition, IfAbsent):
            raise PreconditionFailedError(f"{self._url} was not written: another writer was first", path=self._url)
        # Some servers rename onto nothing only: SMB, and HDFS over the web.
        self._store.delete([self._key])
        if not self._renamed():
            raise StorageError(f"{self._url}: the filesystem did not move {self._temporary} there", path=self._url)

    def _renamed(self) -> bool:
        """Move it, and say whether that happened: there are filesystems that do nothing, and don't say so."""
        try:
            with classified(self._url, self._filesystem):
                self._filesystem.mv(self._temporary, self._key)
        except TransientStorageError:
            raise
        except StorageError as error:
            if isinstance(error.__cause__, FileExistsError):
                return False
            self._take_back(error)
            raise
        return self._has_moved()

    def _moved_whole(self) -> ObjectInfo:
        info = self._store.stat(self._key)
        # What has no condition may have been replaced by another since, of any size.
        if info.size != self._size and isinstance(self._condition, IfAbsent):
            error = StorageError(f"{self._url}: {info.size} of {self._size} bytes arrived there", path=self._url)
            self._take_back(error)
            raise error
        return info

    def _take_back(self, error: StorageError) -> None:
        """Delete what a move that failed may have made visible: nothing was there before, and nobody else writes.

        Raises:
            TransientStorageError: it can't be, so that nobody knows what is there.
        """
        if not (self._copies and isinstance(self._condition, IfAbsent)):
            return
        try:
            self._store.delete([self._key])
        except StorageError as left:
            what = f"{error}; and what of it is there can't be told: {left}"
            raise TransientStorageError(what, path=self._url) from error

    def _has_moved(self) -> bool:
        """Whether the temporary is gone. Its name is random: nobody else moves it."""
        try:
            self._store.stat(self._temporary)
        except ObjectNotFoundError:
            return True
        return False

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
