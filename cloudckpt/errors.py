"""Every error that cloudckpt raises on purpose, by what a handler would do about it.

::

    CloudckptError
    ├── NotFoundError                                 what was asked for is not there
    │   ├── CheckpointNotFoundError  (FileNotFoundError)  nothing by that name: start anew, or mend the path
    │   │   └── InvalidSavePathError (ValueError)     the same, of what a saver is to restore
    │   └── TensorNotFoundError  (KeyError)           the checkpoint has no tensor, or no slice, of that name
    ├── CheckpointPathError      (ValueError)         the path can't name a checkpoint: mend the call
    ├── CheckpointDamagedError   (OSError)            it is there and not whole: fall back to an older one
    │   └── ChecksumMismatchError                     its bytes are not those that were written
    ├── CheckpointVersionError   (ValueError)         a newer program wrote it: upgrade cloudckpt
    ├── InvalidArgumentError     (ValueError)         the arguments don't fit each other, or the checkpoint
    ├── StructureError           (ValueError)         the tree and the checkpoint don't fit together
    ├── StateFileError  (OSError, ValueError)         the `checkpoint` state file can't be read
    ├── CommitError              (OSError)            this save is not the prefix's checkpoint
    │   ├── CommitConflictError                       another writer won: restore before you go on
    │   ├── CommitTimeoutError   (TimeoutError)       the save took longer than collectors wait: set max_save_time
    │   └── CommitUnknownError                        the answer was lost, and no proof was found: look before you retry
    └── StorageError             (OSError)            the store refused or could not answer
        ├── ObjectNotFoundError  (FileNotFoundError)  no such object, bucket or folder
        ├── PermissionDeniedError (PermissionError)   credentials, mode bits, a read-only disk
        ├── PreconditionFailedError                   the object is not as the condition of the write demands
        ├── ObjectChangedError                        the object was replaced while it was read
        ├── ShortReadError       (EOFError)           the object ends before the range that was asked for
        ├── UploadCorruptedError                      the server received other bytes than were sent
        ├── UnsupportedOperationError (NotImplementedError)  the store can't do this safely
        └── TransientStorageError (ConnectionError)   it may go well next time: already retried until the deadline
            └── StorageTimeoutError (TimeoutError)    the time that the caller set is over

    SingleWriterWarning  (UserWarning)                the store can't tell two writers apart
    RecoveryWarning      (UserWarning)                something is broken, and was made up for
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = [
    "CheckpointDamagedError",
    "CheckpointNotFoundError",
    "CheckpointPathError",
    "CheckpointVersionError",
    "ChecksumMismatchError",
    "CloudckptError",
    "CommitConflictError",
    "CommitError",
    "CommitTimeoutError",
    "CommitUnknownError",
    "InvalidArgumentError",
    "InvalidSavePathError",
    "NotFoundError",
    "ObjectChangedError",
    "ObjectNotFoundError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "RecoveryWarning",
    "ShortReadError",
    "SingleWriterWarning",
    "StateFileError",
    "StorageError",
    "StorageTimeoutError",
    "StructureError",
    "TensorNotFoundError",
    "TransientStorageError",
    "UnsupportedOperationError",
    "UploadCorruptedError",
    "Winner",
]


class CloudckptError(Exception):
    """The base of every error here.

    Attributes:
        path: the file, prefix or URL it is about, without credentials; None where there is none.
        tensor: the tensor it is about, or None.
        step: the global step it is about, or None.
    """

    def __init__(
        self, message: str, *, path: str | None = None, tensor: str | None = None, step: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.tensor = tensor
        self.step = step

    def __str__(self) -> str:
        # KeyError and OSError would print their arguments in forms of their own.
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.__dict__.copy()))


def _rebuild(cls: type[CloudckptError], message: str, fields: dict[str, object]) -> CloudckptError:
    error = cls(message)
    error.__dict__.update(fields)
    return error


class NotFoundError(CloudckptError):
    """What was asked for is not there: a checkpoint, or a tensor in it; in TensorFlow both are of one class."""


class CheckpointNotFoundError(NotFoundError, FileNotFoundError):
    """No checkpoint has that name: there is no `.index`."""


class InvalidSavePathError(CheckpointNotFoundError, ValueError):
    """The path that a saver is to restore names no checkpoint; also the ValueError that TensorFlow's saver raises."""


class CheckpointPathError(CloudckptError, ValueError):
    """The path can't be a checkpoint's prefix: it names one of its files, or nothing at all."""


class CheckpointDamagedError(CloudckptError, OSError):
    """A checkpoint is there, but not whole: a file is missing, too short, or does not parse."""


class ChecksumMismatchError(CheckpointDamagedError):
    """Bytes of a checkpoint are not those that its checksums were computed from."""


class CheckpointVersionError(CloudckptError, ValueError):
    """A newer program wrote this in a form that this version does not know."""


class TensorNotFoundError(NotFoundError, KeyError):
    """The checkpoint holds no tensor of that name, or not all elements of the slice that was asked for."""


class InvalidArgumentError(CloudckptError, ValueError):
    """Arguments don't fit together (lengths, a slice spec), or don't fit what the checkpoint holds (dtype, shape)."""


class StructureError(CloudckptError, ValueError):
    """A tree and a checkpoint, or a tree and itself, don't fit: names collide, leaves are missing, shapes differ."""


class StateFileError(CloudckptError, OSError, ValueError):
    """The `checkpoint` state file is there and can't be read as one, or names nothing where a name is needed."""


class CommitError(CloudckptError, OSError):
    """A save did not become the checkpoint of its prefix, or did so unproved."""


@dataclass(frozen=True, slots=True)
class Winner:
    """The write that a save has lost to, as a look at it afterwards found it."""

    path: str
    """the file: a checkpoint's `.index`, a V1 file, or the `checkpoint` state file"""
    version: str
    """its ETag or generation, or whatever the store tells one write of it from another by"""
    written: float
    """when, in seconds since the epoch by the store's clock; 0.0 where the store does not know"""
    commit_id: str | None
    """the random id of that write, where the store keeps one"""
    step: int | None
    """the newest step that it names, if it is a state file"""

    def __str__(self) -> str:
        when = f"at {datetime.fromtimestamp(self.written, UTC).isoformat(timespec='seconds')}" if self.written else ""
        named = "" if self.step is None else f"step {self.step}"
        return " ".join(filter(None, (named, when, f"(commit id {self.commit_id or 'unknown'})")))


class CommitConflictError(CommitError):
    """Another writer committed between this one's look and its own commit; the winner's checkpoint is whole.

    Attributes:
        committed: the prefix whose `.index` this save did commit before it lost the state file, or None.
        winner: the write that it lost to; None if the other writer has not committed yet, or can't be looked at.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        tensor: str | None = None,
        step: int | None = None,
        committed: str | None = None,
        winner: Winner | None = None,
    ) -> None:
        super().__init__(message, path=path, tensor=tensor, step=step)
        self.committed = committed
        self.winner = winner


class CommitTimeoutError(CommitError, TimeoutError):
    """A save would have committed later than its `max_save_time` allows, by the store's clock; its data is discarded.

    A collector takes data that no index names for garbage once it is old enough: a save that came later still could
    commit an index whose data is gone.
    """


class CommitUnknownError(CommitError):
    """The answer to the commit was lost, and reading back did not prove who won.

    Attributes:
        commit_id: the random id of this write: if the object has it, the write has taken effect.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        tensor: str | None = None,
        step: int | None = None,
        commit_id: str | None = None,
    ) -> None:
        super().__init__(message, path=path, tensor=tensor, step=step)
        self.commit_id = commit_id


class StorageError(CloudckptError, OSError):
    """The store refused, or could not answer."""


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """There is no such object, bucket or folder."""


class PermissionDeniedError(StorageError, PermissionError):
    """The store does not let these credentials, or this user, do that."""


class PreconditionFailedError(StorageError):
    """The object is not as the write's condition demands; nothing was written."""


class ObjectChangedError(StorageError):
    """The object was replaced or deleted while it was being read."""


class ShortReadError(StorageError, EOFError):
    """The object ends before the end of the range that was asked for."""


class UploadCorruptedError(StorageError):
    """The server's checksum of what it received differs from ours; nothing was committed."""


class UnsupportedOperationError(StorageError, NotImplementedError):
    """The store can't do this without breaking a promise."""


class TransientStorageError(StorageError, ConnectionError):
    """The request failed in a way that may pass: a reset, a timeout, a 5xx, a 429.

    Attributes:
        retry_after: the seconds that the server asked to wait, or None.
        attempts: how often it was tried before this was raised.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        tensor: str | None = None,
        step: int | None = None,
        retry_after: float | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message, path=path, tensor=tensor, step=step)
        self.retry_after = retry_after
        self.attempts = attempts


class StorageTimeoutError(TransientStorageError, TimeoutError):
    """The time limit that the caller set is over; the message names what went wrong, after `attempts` attempts."""


class SingleWriterWarning(UserWarning):
    """The store can't tell two writers of one prefix apart: see to it that there is only one."""


class RecoveryWarning(UserWarning):
    """Something is not as it should be, and was made up for: what was taken in its place is whole.

    Recovery passed over a checkpoint, or could not put a broken one aside; or a local folder before a bucket failed,
    and the bucket did without.
    """
