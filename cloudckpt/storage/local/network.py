"""Which disks are shared with other machines, and the lock that those see."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_NAME = ".cloudckpt.lock"

_MOUNTS = "/proc/self/mountinfo"
_NETWORK_TYPES = {"9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2"}
_NETWORK_TYPES |= {"smb3", "smbfs", "virtiofs"}


def is_network_disk(descriptor: int) -> bool:
    """Whether a file or folder lies on a disk that other machines may have mounted. Only Linux tells; else False."""
    return _is_network_device(os.fstat(descriptor).st_dev)


@lru_cache
def _is_network_device(device: int) -> bool:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="replace") as mounts:
            return any(_is_network_mount(line, f"{os.major(device)}:{os.minor(device)}") for line in mounts)
    except FileNotFoundError:
        return False


def _is_network_mount(line: str, device: str) -> bool:
    """Whether a line of mountinfo (proc_pid_mountinfo(5)) is of that device, and of a network file system."""
    mount, _, source = line.partition(" - ")
    kind = source.partition(" ")[0]
    return mount.split()[2] == device and (kind in _NETWORK_TYPES or kind.startswith("fuse."))


@contextmanager
def locked_among_machines(folder: int) -> Iterator[None]:
    """Hold a POSIX lock on a hidden file of the folder: network file systems carry those to their servers.

    Among the threads of one process it does nothing, and closing any descriptor of the file drops it: hold the
    folder's `flock` first. The file stays, for a lock on a deleted one would exclude nobody.
    """
    descriptor = os.open(LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
