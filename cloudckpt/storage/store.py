"""What a store is: ten operations on objects, and the truth about how much they promise.

A store is one bucket, one local disk or one fsspec filesystem. Its keys are strings with "/" between folders, without
a leading "/" on buckets and absolute on local disks. It knows no checkpoint format; the layer above knows no server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Buffer


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store guarantees, as positive facts: a new store claims nothing until it says so."""

    create_if_absent: bool = False
    """`IfAbsent` is atomic: of two writers that create one key, exactly one succeeds."""
    replace_if_version: bool = False
    """`IfVersion` is atomic: a write succeeds only while the object is still that version."""
    delete_if_version: bool = False
    """`delete_if_version` deletes only that version, atomically."""
    atomic_rename: bool = False
    """An object becomes visible by one rename: a reader never sees a part of it."""
    durable_on_return: bool = False
    """What a write returned from survives a power cut."""
    server_side_copy: bool = False
    """Objects are copied without passing through the client."""
    upload_checksum: bool = False
    """A checksum of ours is compared with the bytes that arrived before an upload counts."""
    parallel_upload: bool = False
    """The parts of one upload may be written side by side and in any order."""
    local_files: bool = False
    """An object is a file of this machine, `url(key)` its path: whoever reads may open it, and map it into memory."""
    server_times: bool = False
    """`modified` and `time()` are by one clock, the store's own, and no writer can set them: an age is a proof."""


@dataclass(frozen=True, slots=True)
class Always:
    """Write whatever is there: the last writer wins."""


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """Write only if no object has the key; else `PreconditionFailedError`."""


@dataclass(frozen=True, slots=True)
class IfVersion:
    """Write only if the object is still this version; else, also when it is gone, `PreconditionFailedError`."""

    version: str


WriteCondition = Always | IfAbsent | IfVersion


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as the store saw it at one moment."""

    key: str
    size: int
    """bytes"""
    version: str
    """Changes with every write of the key: an ETag, a generation, inode and times. Compare it, don't read it."""
    modified: float
    """Seconds since the epoch, by the store's clock, never by this machine's (a local disk's is both)."""
    commit_id: str | None = None
    """The id that the writer put beside the object, where the store keeps one and the operation returns it."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload that was begun and neither completed nor aborted, or the temporary of one; it is no object."""

    key: str
    """of the object that it was to be"""
    began: float
    """Seconds since the epoch, by the clock of `ObjectInfo.modified`: when it began, or when it last changed; 0.0 where
    nobody knows."""
    size: int | None
    """bytes that are there of it; None where the store does not say"""
    discard: Callable[[], None] = field(repr=False)
    """Free it; one that is gone already is no error. It raises as `Store.delete` does. One request."""
    is_ours: bool = False
    """Whether nobody but this library can have begun it, whatever its key; any program may begin uploads."""


class Upload(ABC):
    """One object on its way: nobody sees it before `complete`.

    As a context manager it aborts whatever was not completed, so that nothing is left behind by an exception.
    """

    part_size: int
    """Bytes of every part but the last; a part's offset is a multiple of it."""
    unproved: ObjectInfo | None = None
    """The object, where `complete` made it visible and then failed: nobody knows whether it will stay. Who knows that
    nothing refers to it may delete it."""

    @abstractmethod
    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        """Send one part: the buffers' bytes in order, at `offset` (bytes from the start of the object).

        Thread-safe where `Capabilities.parallel_upload`; elsewhere parts come in order, one at a time. The buffers
        must stay unchanged until `complete` returns (a store may send them only then).

        Args:
            offset: a multiple of `part_size`.
            buffers: C-contiguous; together `part_size` bytes, or what remains of the object.
            crc32c: the CRC-32C (not masked) of those bytes, computed from the user's memory.

        Raises:
            UploadCorruptedError: the server got other bytes.
            StorageError: it could not be sent.
        """

    @abstractmethod
    def complete(self, crc32c: int) -> ObjectInfo:
        """Make the whole object visible at once, on the condition that the upload was created with.

        Args:
            crc32c: the CRC-32C (not masked) of the whole object, for the server to check where it can.

        Raises:
            PreconditionFailedError: the condition does not hold; nothing is visible and nothing is left behind.
            UploadCorruptedError: the server holds other bytes; the object was not made visible, or was removed again.
        """

    @abstractmethod
    def abort(self) -> None:
        """Give up and free what was sent. Does nothing after `complete` or a second time; never raises for a store
        that can't be reached (what is left is garbage for the collector, and logged).
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


class Store(ABC):
    """Where bytes live. Every operation may be called from any thread, and raises nothing but a `StorageError`.

    Implementations classify their errors (missing, permanent, transient) and don't retry: `RetryingStore` does.
    """

    max_concurrency: int = 4
    """Requests in flight of one save, load or verification; more than a few only pay where each waits for a server."""

    range_size: int = 32 << 20
    """Bytes that one of them reads at most: so many that the wait for the first of them matters little."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this store guarantees; the commit picks its way by it."""

    @abstractmethod
    def url(self, key: str) -> str:
        """The URL or path a person would use for the key, without credentials: for messages and return values."""

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo:
        """Look at one object, with its `commit_id` where the store keeps one. One request.

        Raises:
            ObjectNotFoundError: there is none.
        """

    @abstractmethod
    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        """Iterate over the objects whose keys begin with `prefix`, in order of their keys.

        Only those of the same folder: keys with a further "/" after the prefix are not listed, nor are the store's own
        unfinished temporaries. A folder that does not exist is empty; a bucket that does not exist raises. One request
        a thousand keys; where folders exist, one a folder.

        Args:
            prefix: how their keys begin.
            recursive: whether keys with a further "/" are listed, too.

        Raises:
            ObjectNotFoundError: the bucket itself does not exist.
        """

    @abstractmethod
    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Read one whole object of moderate size, and exactly the version that is returned. One request.

        Raises:
            ObjectNotFoundError: there is none.
        """

    @abstractmethod
    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        """Fill the buffers one after the other with the object's bytes from `offset` on. One request, no copy.

        Args:
            key: the object.
            offset: bytes from its start.
            into: writable, one-dimensional, of format "B"; all are filled to the last byte.
            version: read only this version of it.

        Raises:
            ObjectNotFoundError: there is no such object (any more).
            ObjectChangedError: it is another version than asked for.
            ShortReadError: it ends before the buffers are full; some may have been filled.
        """

    @abstractmethod
    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        """Write one small object whole, on a condition: readers see the old one or the new one, nothing between.

        Args:
            key: the object; folders on the way are made where folders exist.
            data: its bytes.
            condition: what must hold of the object that is there.
            crc32c: the CRC-32C (not masked) of the data, for the server to check where it can.
            commit_id: kept beside the object where the store can, so that a lost answer can be recognised.

        Raises:
            PreconditionFailedError: the condition does not hold; nothing was written.
            UnsupportedOperationError: the store can't check this condition atomically.
        """

    @abstractmethod
    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        """Start an object of known size that is written in parts; the condition is checked when it completes.

        Args:
            key: the object; folders on the way are made where folders exist.
            size: bytes, exactly.
            condition: as for `put`.
            commit_id: as for `put`.

        Raises:
            UnsupportedOperationError: the store can't check this condition atomically.
        """

    @abstractmethod
    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        """Make an object of the bytes of another one of this store, without passing them through the client.

        Readers of `key` see what was there before or the whole copy, nothing between; it outlives its source. A copy
        carries no commit id of its source, and has the time at which it was made.

        Args:
            source: the object to copy, as the store described it: exactly that version, of that size.
            key: the new object; folders on the way are made where folders exist.
            condition: what must hold of the object that is there.
            commit_id: as for `put`.

        Raises:
            ObjectNotFoundError: the source is not there (any more).
            ObjectChangedError: the source is another version; nothing was written.
            PreconditionFailedError: the condition does not hold; nothing was written.
            UnsupportedOperationError: not `Capabilities.server_side_copy`, or the store can't check this condition
                atomically.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects, whatever their version; one that is not there is no error. Batched where possible.

        All are tried before an error is raised.
        """

    @abstractmethod
    def delete_if_version(self, key: str, version: str) -> None:
        """Delete the object only if it is still this version; one that is gone already is no error.

        Raises:
            PreconditionFailedError: it is another version; nothing was deleted.
            UnsupportedOperationError: not `Capabilities.delete_if_version`.
        """

    @abstractmethod
    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Iterate over the uploads that were begun and not completed, of keys that `list(prefix)` would list.

        Those of writers that are at work are among them: only their age tells. A store whose uploads leave nothing
        behind, or can't be listed, has none.

        Raises:
            ObjectNotFoundError: the bucket itself does not exist.
        """

    @abstractmethod
    def time(self) -> float:
        """The store's clock at its latest answer, seconds since the epoch: never later than now. No request.

        0.0 before the first answer, and where not `Capabilities.server_times`.
        """

    @abstractmethod
    def close(self) -> None:
        """Free connections and descriptors. A closed store may not be used again; closing twice is no error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
