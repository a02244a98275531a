"""How one version of a file is told from another."""

from __future__ import annotations

import os
import stat
import time

from cloudckpt.errors import ObjectChangedError, ObjectNotFoundError
from cloudckpt.storage.store import ObjectInfo

_TICK = 20_000_000
"""Nanoseconds: the system's clock for files runs behind its precise one by a tick of 1 to 10 ms."""


def stamp(descriptor: int) -> None:
    """Give the file a time of modification that no other version of it has.

    A version is inode, time of modification and size. Replacing a file twice can bring its inode back, and within one
    tick of the system's clock (some milliseconds) the time too: so the time is set from the precise clock. The time
    of change (ctime) is no part of it: links, which publish a file, modes and owners change that without a write.
    A network disk's times come from its server's clock, and are left alone.
    """
    os.utime(descriptor)
    now = time.time_ns()
    if abs(now - os.fstat(descriptor).st_mtime_ns) < _TICK:
        os.utime(descriptor, ns=(now, now))


def version_of(status: os.stat_result) -> str:
    """The version of a file as its status tells it."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def require_version(key: str, descriptor: int, version: str) -> None:
    """Raise `ObjectChangedError` where the open file is not that version (any more)."""
    found = version_of(os.fstat(descriptor))
    if found != version:
        raise ObjectChangedError(
            f"{key} was replaced or changed: found version {found}, expected {version}; open its checkpoint again",
            path=key,
        )


def described(key: str, status: os.stat_result) -> ObjectInfo:
    """The file as an object.

    Its time is the later of modification and change: when its bytes were written, or when it came to this place.

    Raises:
        ObjectNotFoundError: it is a folder, or a device.
    """
    if not stat.S_ISREG(status.st_mode):
        raise ObjectNotFoundError(f"{key} is a folder or a device, not a file", path=key)
    modified = max(status.st_mtime_ns, status.st_ctime_ns) / 1e9
    return ObjectInfo(key, status.st_size, version_of(status), modified)


def refuse_pipe(key: str) -> None:
    """Raise `ObjectNotFoundError` where the file is a named pipe: to open one waits for a writer, maybe for ever."""
    if stat.S_ISFIFO(os.stat(key).st_mode):
        raise ObjectNotFoundError(f"{key} is a named pipe, not a file", path=key)
