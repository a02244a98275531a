"""What the operating system answers, as errors of ours that name the file and the remedy."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    StorageError,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

_Kinds = dict[int, tuple[type[StorageError], str]]
_Result = TypeVar("_Result")

_KINDS: _Kinds = {
    errno.ENOENT: (ObjectNotFoundError, "there is no such file or folder"),
    errno.ESTALE: (StorageError, "another machine removed it from this network disk, or its server was restarted"),
    errno.EACCES: (PermissionDeniedError, "this user may not do that: look at the owner and mode of it and its folder"),
    errno.EPERM: (PermissionDeniedError, "this user may not do that: look at the owner and mode of it and its folder"),
    errno.EROFS: (PermissionDeniedError, "the disk is mounted read-only"),
    errno.ENOSPC: (StorageError, "the disk is full: free some space, or save elsewhere"),
    errno.EDQUOT: (StorageError, "the user's quota of this disk is used up: free some space, or save elsewhere"),
    errno.EFBIG: (StorageError, "the file system, or a limit of this process, does not take files of this size"),
    errno.ENAMETOOLONG: (StorageError, "the name or the path is too long for this file system: take a shorter one"),
    errno.EISDIR: (StorageError, "a folder is in the place of the file: take another name, or remove the folder"),
    errno.ENOTDIR: (
        StorageError,
        "a file is in the place of one of its folders: take another name, or remove the file",
    ),
    errno.ELOOP: (StorageError, "its symbolic links go round in a circle"),
    errno.EMFILE: (StorageError, "this process has too many open files: raise the limit (ulimit -n)"),
    errno.ENFILE: (StorageError, "this machine has too many open files: close some programs, or raise its limit"),
    errno.EIO: (StorageError, "the disk reports a fault: look at the system's log"),
    errno.ETIMEDOUT: (StorageError, "the server of this network disk does not answer: look at its mount"),
    errno.ENOTCONN: (StorageError, "the program behind this mount has ended: mount it again"),
    errno.EINTR: (StorageError, "a signal interrupted the operation: do it again"),
    errno.ENOTSUP: (UnsupportedOperationError, "the file system can't do that"),
}
_READING: _Kinds = _KINDS | {
    errno.ENOTDIR: _KINDS[errno.ENOENT],  # a file where a folder should be only means that there is nothing to read
    errno.ELOOP: (ObjectNotFoundError, _KINDS[errno.ELOOP][1]),
    errno.ESTALE: (ObjectChangedError, "another machine replaced or removed it while it was read"),
}
_WRITING: _Kinds = _KINDS | {
    errno.ENOENT: (StorageError, "its folder was removed while it was written: see to it that nobody does"),
}


@contextmanager
def translated(path: str, *, kinds: Mapping[int, tuple[type[StorageError], str]] = _KINDS) -> Iterator[None]:
    """Raise what the operating system raises inside the block as a `StorageError` about `path`.

    Args:
        path: the file that the block works on.
        kinds: by errno, the class of the error and what to say.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        kind, reason = kinds.get(error.errno or 0, (StorageError, "the operation failed"))
        raise kind(f"{path}: {reason} ({error.strerror or error})", path=path) from error
    except ValueError as error:
        # A closed descriptor, or a name with a null character.
        raise StorageError(f"{path}: {error}", path=path) from error


def while_reading(path: str) -> AbstractContextManager[None]:
    """What `translated` does, for a block that only reads."""
    return translated(path, kinds=_READING)


def while_writing(path: str) -> AbstractContextManager[None]:
    """What `translated` does, for a block that makes the file, and its folder before it."""
    return translated(path, kinds=_WRITING)


def again_if_stale(operation: Callable[[], _Result], forget: Callable[[], object] = lambda: None) -> _Result:
    """Do it once more where a network disk says that a handle is stale: the path may lead to the file all the same.

    Args:
        operation: looks the file up by its path.
        forget: is called in between.
    """
    try:
        return operation()
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
    forget()
    return operation()
