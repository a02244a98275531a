"""Folders: made durably, held open while their files change, and locked without leaving a file."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from cloudckpt.errors import UnsupportedOperationError
from cloudckpt.storage.local_io import sync
from cloudckpt.storage.local_network import is_network_disk, locked_among_machines

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


def split(key: str) -> tuple[str, str]:
    """A file's folder and its name in it."""
    folder, _, name = key.rpartition("/")
    return folder or "/", name


@contextmanager
def folder_open(folder: str) -> Iterator[int]:
    """A descriptor of the folder: names relative to it stay inside it, whatever happens to its path."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked(descriptor: int, folder: str, *, required: bool) -> Iterator[None]:
    """Hold the folder's lock, which all who compare a file before they replace or delete it hold.

    The system drops it when the process ends, however it ends. On a network disk a second lock excludes the other
    machines.

    Args:
        descriptor: of the folder; a lock belongs to it, so that two threads exclude each other as two processes do.
        folder: its path, for messages.
        required: whether to refuse where the file system has no locks; else the block runs without.

    Raises:
        UnsupportedOperationError: the file system has no locks, and one is required.
    """
    with ExitStack() as held:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            held.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
            if is_network_disk(descriptor):
                held.enter_context(locked_among_machines(descriptor))
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            if required:
                raise UnsupportedOperationError(
                    f"{folder}: its file system has no locks ({error.strerror}), so a file can't be compared and "
                    "replaced in one step: save to another disk",
                    path=folder,
                ) from error
        yield


def make_folder(folder: str, *, durable: bool) -> None:
    """Make the folder and those above it that are missing; each new one is flushed with the folder that names it."""
    missing: list[str] = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        if durable:
            with folder_open(os.path.dirname(path)) as parent:
                sync(parent)
