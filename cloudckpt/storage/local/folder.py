"""Folders: listed, held open while their files change, and locked without leaving a file."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError, UnsupportedOperationError
from cloudckpt.storage.local.errors import again_if_stale, while_reading
from cloudckpt.storage.local.network import is_network_disk, locked_among_machines

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


def split(key: str) -> tuple[str, str]:
    """A file's folder and its name in it."""
    folder, _, name = key.rpartition("/")
    return folder or "/", name


def paths_below(prefix: str, *, recursive: bool = False) -> Iterator[str]:
    """The paths that begin with `prefix`, in no order: of its folder, or also of the folders below, links not followed.

    Folders are among them where not `recursive`. A folder that does not exist has none.
    """
    folder, start = split(prefix)
    before = prefix.removesuffix(start)
    for entry in _entries(folder):
        if not entry.name.startswith(start):
            continue
        if recursive and entry.is_dir(follow_symlinks=False):
            yield from paths_below(f"{before}{entry.name}/", recursive=True)
        else:
            yield before + entry.name


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with suppress(ObjectNotFoundError), while_reading(folder):
        return again_if_stale(lambda: _scanned(folder))
    return []


def _scanned(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


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
