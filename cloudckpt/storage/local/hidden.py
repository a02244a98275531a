"""A file under a hidden name in the folder where it will be, until it is published in one step."""

from __future__ import annotations

import errno
import logging
import os
import stat
from typing import TYPE_CHECKING, Self

from cloudckpt.errors import PreconditionFailedError, StorageError
from cloudckpt.storage.local.folder import locked, split
from cloudckpt.storage.local.network import is_network_disk
from cloudckpt.storage.local.version import version_of
from cloudckpt.storage.store import IfAbsent, IfVersion
from cloudckpt.storage.temporaries import temporary_name

if TYPE_CHECKING:
    from types import TracebackType

    from cloudckpt.storage.local.durability import Durability
    from cloudckpt.storage.store import WriteCondition

_log = logging.getLogger(__name__)
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


class HiddenFile:
    """The hidden name of a file to be, and the way from there to its own name. It raises what the system raises.

    As a context manager it removes what was not published.

    Args:
        key: the absolute path of the file to be; folders on the way are made.
        durability: flushes what needs it.
    """

    def __init__(self, key: str, durability: Durability) -> None:
        self._key, self._durability = key, durability
        self._folder_path, self._name = split(key)
        self._temporary = temporary_name(self._name)
        self._shared = False
        durability.make_folder(self._folder_path)
        self._folder = os.open(self._folder_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._check_length()
        except BaseException:
            os.close(self._folder)
            raise

    def _check_length(self) -> None:
        """Raise now what would be raised after all bytes were written, or by whoever wants to read them."""
        path, name = os.fsencode(self._key), os.fsencode(self._name)
        limits = os.fpathconf(self._folder, "PC_PATH_MAX"), os.fpathconf(self._folder, "PC_NAME_MAX")
        if len(path) >= limits[0] > 0 or len(name) > limits[1] > 0:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), self._key)

    def create(self) -> int:
        """Make the file, new and empty, and return a descriptor to write it with."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(self._temporary, flags, 0o666, dir_fd=self._folder)

    def link(self, path: str, descriptor: int) -> bool:
        """Give an open file the hidden name, too; False where that can't be, and then nothing is there.

        On a network disk it is not tried: a repeated request could not be told from a link made before.

        Args:
            path: a name of the file, at least a moment ago.
            descriptor: of the file.
        """
        if is_network_disk(self._folder):
            return False
        try:
            os.link(path, self._temporary, dst_dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _NO_LINKS | {errno.EXDEV, errno.EACCES, errno.ENOENT}:
                raise
            return False
        self._shared = os.path.samestat(self._hidden_status(), os.fstat(descriptor))
        if not self._shared:
            self._remove()
        return self._shared

    def publish(self, descriptor: int, condition: WriteCondition) -> None:
        """Flush the file, give it its own name if the condition holds, and flush the folder.

        Args:
            descriptor: of the file.
            condition: what must hold of the name.

        Raises:
            PreconditionFailedError: it does not; the file is still hidden.
            UnsupportedOperationError: the file system has no locks, and the condition needs one.
        """
        self._durability.flush(descriptor)
        if isinstance(condition, IfAbsent):
            self._publish_new()
        else:
            with locked(self._folder, self._folder_path, required=isinstance(condition, IfVersion)):
                if isinstance(condition, IfVersion):
                    self._check_version(condition.version)
                self._rename()
        self._durability.flush(self._folder)

    def is_published(self, descriptor: int) -> bool:
        """Whether the file has its own name, although `publish` raised; False also where that can't be found out."""
        try:
            return self._is_file(os.fstat(descriptor))
        except OSError:
            return False

    def discard(self) -> None:
        """Remove what is still under the hidden name, and close the folder; the end of it, for once only."""
        self._remove()
        os.close(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def _publish_new(self) -> None:
        """Publish only if the name is free; the link is one step, and needs no lock."""
        try:
            os.link(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _NO_LINKS | {errno.EEXIST}:
                raise
            if self._shared or not self._is_file(self._hidden_status()):
                self._check_absent()
                with locked(self._folder, self._folder_path, required=True):
                    self._check_absent()
                    self._rename()
        self._remove()

    def _is_file(self, file: os.stat_result) -> bool:
        """Whether the name is that very file's: a network disk may repeat a request whose answer was lost."""
        status = self._status(follow=False)
        return status is not None and os.path.samestat(status, file)

    def _check_absent(self) -> None:
        status = self._status(follow=False)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._key)
        if self._status(follow=True) is None:
            raise StorageError(
                f"{self._key} was not written: a symbolic link that leads nowhere is in its place, to "
                f"{os.readlink(self._name, dir_fd=self._folder)!r}; remove the link, or restore what it leads to",
                path=self._key,
            )
        raise self._refusal("it exists already")

    def _rename(self) -> None:
        os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _status(self, *, follow: bool) -> os.stat_result | None:
        try:
            return os.stat(self._name, dir_fd=self._folder, follow_symlinks=follow)
        except FileNotFoundError:
            return None

    def _hidden_status(self) -> os.stat_result:
        return os.stat(self._temporary, dir_fd=self._folder)

    def _check_version(self, expected: str) -> None:
        status = self._status(follow=True)
        found = "nothing" if status is None else f"version {version_of(status)}"
        if status is None or version_of(status) != expected:
            raise self._refusal(f"found {found}, expected version {expected}")

    def _refusal(self, reason: str) -> PreconditionFailedError:
        return PreconditionFailedError(f"{self._key} was not written: {reason}", path=self._key)

    def _remove(self) -> None:
        try:
            os.unlink(self._temporary, dir_fd=self._folder)
        except FileNotFoundError:
            pass  # it was published, or never made
        except OSError as error:
            _log.warning("%s: its temporary file %s was left behind: %s", self._key, self._temporary, error.strerror)
