"""What an fsspec filesystem raises, as errors of ours that name the URL."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudckpt.errors import (
    ObjectNotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientStorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.traffic import record
from cloudckpt.storage.urls import cause_of, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: tuple[tuple[type[BaseException], type[StorageError], str], ...] = (
    (NotADirectoryError, ObjectNotFoundError, "a file is in the place of one of its folders"),
    (FileNotFoundError, ObjectNotFoundError, "there is no such object, folder or bucket"),
    (IsADirectoryError, StorageError, "a folder is in the place of the file"),
    (PermissionError, PermissionDeniedError, "not permitted: check the credentials in storage_options"),
    (NotImplementedError, UnsupportedOperationError, "the filesystem can't do that"),
    (ConnectionError, TransientStorageError, "the connection failed"),
    (TimeoutError, TransientStorageError, "no answer in time"),
    (EOFError, TransientStorageError, "the connection ended early"),
)


@contextmanager
def classified(url: str, filesystem: object) -> Iterator[None]:
    """Raise whatever the filesystem raises inside the block as a `StorageError` about `url`.

    Filesystems raise what their libraries raise, so anything can come: what is not known counts as permanent. Each
    block is one operation of the filesystem, and counted as a request.
    """
    record(requests=1)
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again as one of ours
        kind, reason = next(
            ((ours, reason) for theirs, ours, reason in _KINDS if isinstance(error, theirs)),
            (StorageError, "the operation failed"),
        )
        what = f"{type(filesystem).__name__}: {reason_of(error)}"
        raise kind(f"{url}: {reason} ({what})", path=url) from cause_of(error)
