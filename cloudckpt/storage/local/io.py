"""Whole reads and writes through a file descriptor: the system may do less than it was asked for at once."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from cloudckpt.errors import ShortReadError
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Sequence

VIEWS_A_CALL = os.sysconf("SC_IOV_MAX")
BYTES_A_CALL = 1 << 30
"""macOS refuses more than 2 GiB in one call, Linux does less than that."""

_PIECE = 8 << 20

_NOT_POSSIBLE = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY}


def write_from(descriptor: int, offset: int, views: Sequence[memoryview]) -> None:
    """Write all the views, one after the other, from `offset` of the file on."""
    rest = list(views)
    while rest:
        done = os.pwritev(descriptor, _one_call(rest), offset)
        record(requests=1, sent=done)
        offset += done
        rest = _after(rest, done)


def read_into(descriptor: int, offset: int, views: Sequence[memoryview], path: str) -> None:
    """Fill all the views, one after the other, from `offset` of the file on."""
    rest = [view for view in views if view.nbytes]
    while rest:
        done = os.preadv(descriptor, _one_call(rest), offset)
        record(requests=1, received=done)
        if not done:
            missing = sum(view.nbytes for view in rest)
            raise ShortReadError(
                f"{path} ends at byte {os.fstat(descriptor).st_size}; expected {missing} more from byte {offset} on: "
                "it is damaged, or was never whole",
                path=path,
            )
        offset += done
        rest = _after(rest, done)


def _one_call(views: Sequence[memoryview]) -> list[memoryview]:
    """As much of the views as one system call takes."""
    taken: list[memoryview] = []
    room = BYTES_A_CALL
    for view in views[:VIEWS_A_CALL]:
        taken.append(view[:room])
        room -= taken[-1].nbytes
        if not room:
            break
    return taken


def _after(views: Sequence[memoryview], done: int) -> list[memoryview]:
    """What is left of the views after their first `done` bytes."""
    for index, view in enumerate(views):
        if done < view.nbytes:
            return [view[done:], *views[index + 1 :]]
        done -= view.nbytes
    return []


def copy_bytes(source: int, target: int, size: int, path: str) -> None:
    """Copy that many bytes from the start of one file to the start of another.

    The system does it where it can, and then some file systems share the bytes (btrfs, XFS) or let their server copy
    them (NFS).

    Args:
        source: a descriptor to read.
        target: a descriptor to write.
        size: bytes.
        path: of the source, for messages.

    Raises:
        ShortReadError: the source has fewer.
    """
    offset = 0
    while offset < size and (done := _copied_by_system(source, target, offset, size - offset)):
        offset += done
    buffer = memoryview(bytearray(min(_PIECE, size - offset)))
    while offset < size:
        piece = buffer[: size - offset]
        read_into(source, offset, [piece], path)
        write_from(target, offset, [piece])
        offset += piece.nbytes


def _copied_by_system(source: int, target: int, offset: int, size: int) -> int:
    """How many bytes the system copied from one file to the other; 0 where it can't, or is at the end."""
    if not hasattr(os, "copy_file_range"):  # macOS
        return 0
    try:
        return os.copy_file_range(source, target, min(size, BYTES_A_CALL), offset, offset)
    except OSError as error:
        if error.errno not in _NOT_POSSIBLE | {errno.EXDEV}:
            raise
        return 0


def allocate(descriptor: int, size: int) -> None:
    """Take the disk space now, where the system can: a full disk shows before any byte is written."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NOT_POSSIBLE:
                raise


def sync(descriptor: int) -> None:
    """Flush a file or folder to the disk itself, where the file system has such a thing."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: its fsync leaves the bytes in the drive's cache
    try:
        if full is not None:
            fcntl.fcntl(descriptor, full)
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_POSSIBLE:
            raise
