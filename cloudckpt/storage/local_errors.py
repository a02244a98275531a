"""What the operating system answers, as errors of ours that name the file and the remedy."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError, PermissionDeniedError, StorageError, UnsupportedOperationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: dict[int, tuple[type[StorageError], str]] = {
    errno.ENOENT: (ObjectNotFoundError, "there is no such file or folder"),
    errno.ESTALE: (ObjectNotFoundError, "another machine deleted it from this network disk"),
    errno.EACCES: (PermissionDeniedError, "this user may not do that: look at the owner and mode of it and its folder"),
    errno.EPERM: (PermissionDeniedError, "this user may not do that: look at the owner and mode of it and its folder"),
    errno.EROFS: (PermissionDeniedError, "the disk is mounted read-only"),
    errno.ENOSPC: (StorageError, "the disk is full: free some space, or save elsewhere"),
    errno.EDQUOT: (StorageError, "the user's quota of this disk is used up: free some space, or save elsewhere"),
    errno.EFBIG: (StorageError, "the file system, or a limit of this process, does not take files of this size"),
    errno.ENAMETOOLONG: (StorageError, "the name is too long for this file system: take a shorter one"),
    errno.EISDIR: (StorageError, "a folder is in the place of the file: take another name, or remove the folder"),
    errno.ENOTDIR: (
        StorageError,
        "a file is in the place of one of its folders: take another name, or remove the file",
    ),
    errno.ELOOP: (StorageError, "its symbolic links go round in a circle"),
    errno.EMFILE: (StorageError, "this process has too many open files: raise the limit (ulimit -n)"),
    errno.EIO: (StorageError, "the disk reports a fault: look at the system's log"),
    errno.ENOTSUP: (UnsupportedOperationError, "the file system can't do that"),
}


@contextmanager
def translated(path: str, *, reading: bool = False) -> Iterator[None]:
    """Raise what the operating system raises inside the block as a `StorageError` about `path`.

    Args:
        path: the file that the block works on.
        reading: whether a file where a folder should be only means that there is nothing to read.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        number = errno.ENOENT if reading and error.errno == errno.ENOTDIR else error.errno
        kind, reason = _KINDS.get(number or 0, (StorageError, "the operation failed"))
        raise kind(f"{path}: {reason} ({error.strerror or error})", path=path) from error
    except ValueError as error:
        # A closed descriptor, or a name with a null character.
        raise StorageError(f"{path}: {error}", path=path) from error
