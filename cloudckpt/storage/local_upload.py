"""One file on its way: written under a hidden name in the folder where it will be, then published in one step."""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from typing import TYPE_CHECKING

from cloudckpt.errors import PreconditionFailedError, StorageError
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.local_descriptors import SharedDescriptor
from cloudckpt.storage.local_errors import translated
from cloudckpt.storage.local_folder import locked, make_folder, split
from cloudckpt.storage.local_io import allocate, sync, write_from
from cloudckpt.storage.local_version import described, stamp, version_of
from cloudckpt.storage.store import IfAbsent, IfVersion, ObjectInfo, Upload, WriteCondition
from cloudckpt.storage.temporaries import temporary_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Buffer

_log = logging.getLogger(__name__)
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


class LocalUpload(Upload):
    """A file of known size, written by any number of threads.

    Args:
        key: its absolute path; folders on the way are made.
        size: its bytes; the disk space is taken at once.
        condition: checked when it completes.
        fsync: whether the file and its folder are flushed to the disk before `complete` returns.
        replaced: told the key after the file was published.
    """

    part_size = 8 << 20

    def __init__(
        self, key: str, size: int, condition: WriteCondition, *, fsync: bool, replaced: Callable[[str], None]
    ) -> None:
        self._key, self._size, self._condition, self._fsync, self._replaced = key, size, condition, fsync, replaced
        self._folder_path, self._name = split(key)
        self._temporary = temporary_name(self._name)
        self._written: dict[int, int] = {}
        self._open = True
        self._lock = threading.Lock()
        with translated(key):
            self._start()

    def _start(self) -> None:
        make_folder(self._folder_path, durable=self._fsync)
        self._folder = os.open(self._folder_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = SharedDescriptor(os.open(self._temporary, flags, 0o666, dir_fd=self._folder))
        except BaseException:
            os.close(self._folder)
            raise
        try:
            with self._file.use() as descriptor:
                allocate(descriptor, self._size)
        except BaseException:
            self.abort()
            raise

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        views = flat_views(buffers)
        with translated(self._key), self._file.use() as descriptor:
            write_from(descriptor, offset, views)
        with self._lock:
            self._written[offset] = sum(view.nbytes for view in views)

    def complete(self, crc32c: int) -> ObjectInfo:
        try:
            with translated(self._key), self._file.use() as descriptor:
                self._check_whole()
                stamp(descriptor)
                if self._fsync:
                    sync(descriptor)
                self._publish()
                if self._fsync:
                    sync(self._folder)
                info = described(self._key, os.fstat(descriptor))
        finally:
            self.abort()
        self._replaced(self._key)
        return info

    def _check_whole(self) -> None:
        written = sum(self._written.values())
        if written != self._size:
            raise StorageError(
                f"{self._key}: {written} of {self._size} bytes were written; all parts must be before it is completed",
                path=self._key,
            )

    def _publish(self) -> None:
        if isinstance(self._condition, IfAbsent):
            self._link()
            return
        with locked(self._folder, self._folder_path, required=isinstance(self._condition, IfVersion)):
            if isinstance(self._condition, IfVersion):
                self._check_version(self._condition.version)
            self._rename()

    def _link(self) -> None:
        """Publish only if the name is free; the link is one step, and needs no lock."""
        try:
            os.link(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _NO_LINKS | {errno.EEXIST}:
                raise
            if not self._is_linked():
                self._check_absent()
                with locked(self._folder, self._folder_path, required=True):
                    self._check_absent()
                    self._rename()
        self._remove_temporary()

    def _is_linked(self) -> bool:
        """Whether the name is this very file: a network disk may repeat a request whose answer was lost."""
        status = self._status(follow=False)
        return status is not None and os.path.samestat(status, os.stat(self._temporary, dir_fd=self._folder))

    def _check_absent(self) -> None:
        status = self._status(follow=False)  # a link that leads nowhere is something, too
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._key)
        raise self._refusal("it exists already")

    def _rename(self) -> None:
        os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _status(self, *, follow: bool) -> os.stat_result | None:
        try:
            return os.stat(self._name, dir_fd=self._folder, follow_symlinks=follow)
        except FileNotFoundError:
            return None

    def _check_version(self, expected: str) -> None:
        status = self._status(follow=True)
        found = "nothing" if status is None else f"version {version_of(status)}"
        if status is None or version_of(status) != expected:
            raise self._refusal(f"found {found}, expected version {expected}")

    def _refusal(self, reason: str) -> PreconditionFailedError:
        return PreconditionFailedError(f"{self._key} was not written: {reason}", path=self._key)

    def abort(self) -> None:
        with self._lock:
            was_open, self._open = self._open, False
        if not was_open:
            return
        self._file.close()
        self._remove_temporary()
        os.close(self._folder)

    def _remove_temporary(self) -> None:
        try:
            os.unlink(self._temporary, dir_fd=self._folder)
        except FileNotFoundError:
            pass  # it was published
        except OSError as error:
            _log.warning("%s: its temporary file %s was left behind: %s", self._key, self._temporary, error.strerror)
