"""What a store flushes to the disk, so that what it has said is there after a power cut: docs/design/power_cut.md."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from cloudckpt.storage.local.folder import folder_open
from cloudckpt.storage.local.io import sync


class Durability:
    """Flushes everything, or nothing where the user trades safety in a power cut for speed.

    Args:
        fsync: whether to flush.
    """

    def __init__(self, *, fsync: bool) -> None:
        self.fsync = fsync
        self._named: set[tuple[str, int, int]] = set()
        """folders whose names, and those of all above them, are on the disk"""

    def flush(self, descriptor: int) -> None:
        """Flush a file's bytes, or the names in a folder."""
        if self.fsync:
            sync(descriptor)

    def make_folder(self, folder: str) -> None:
        """Make the folder and those above it that are missing, and see that their names are on the disk.

        A folder that is there may have been made a moment ago, by the user or by a process that was killed. So the
        first time that a store meets one it flushes the folders above it, up to the one where the disk is mounted.
        """
        made = _make_missing(folder)
        with suppress(FileNotFoundError):  # it was removed again: opening it will tell
            if self.fsync and (made or _identity(folder) not in self._named):
                self._flush_names(folder, {os.path.realpath(path) for path in made})

    def _flush_names(self, folder: str, made: set[str]) -> None:
        path = os.path.realpath(folder)
        met = {_identity(folder)}
        while path in made or (_identity(path) not in self._named and not os.path.ismount(path)):
            with suppress(*() if path in made else (PermissionError,)):  # one that we can't read names no work of ours
                _flush_name(path)
            met.add(_identity(path))
            path = os.path.dirname(path)
        self._named |= met


def _make_missing(folder: str) -> list[str]:
    """Make the folder and those above it; returns those that were missing."""
    missing: list[str] = []
    while not _is_folder(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        try:
            os.mkdir(path)
        except FileExistsError:
            if not _is_folder(path):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
    return missing


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _flush_name(path: str) -> None:
    with folder_open(os.path.dirname(path)) as parent:
        sync(parent)


def _identity(folder: str) -> tuple[str, int, int]:
    status = os.stat(folder)
    return folder, status.st_dev, status.st_ino
