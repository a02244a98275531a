"""fsspec's memory filesystem, with conditions: for tests, and for handing a checkpoint on within one process."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fsspec.implementations.memory import MemoryFile

from cloudckpt.checksums import crc32c as checksum_of
from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ShortReadError,
    StorageError,
    UploadCorruptedError,
)
from cloudckpt.storage.buffers import flat_view, flat_views
from cloudckpt.storage.store import Capabilities, IfAbsent, IfVersion, ObjectInfo, Store, Unfinished, Upload
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import WriteCondition

_lock = threading.RLock()
"""Held by every look and write of this process: fsspec's memory filesystem is one for the whole process, too."""

_tokens = itertools.count(1)


class MemoryStore(Store):
    """The objects of an fsspec `MemoryFileSystem`; other users of fsspec in the process see and write the same ones.

    Keys have no leading "/".

    Args:
        filesystem: the `MemoryFileSystem`.
        clock: seconds since the epoch; for tests.
    """

    def __init__(self, filesystem: Any, *, clock: Callable[[], float] = time.time) -> None:
        self._filesystem = filesystem
        self._clock = clock

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            create_if_absent=True,
            replace_if_version=True,
            delete_if_version=True,
            atomic_rename=True,
            server_side_copy=True,
            upload_checksum=True,
            parallel_upload=True,
            server_times=True,
        )

    def url(self, key: str) -> str:
        return f"memory://{key}"

    def stat(self, key: str) -> ObjectInfo:
        with _lock:
            return _described(key, self._file(key))

    def _file(self, key: str) -> Any:
        try:
            return self._filesystem.store[f"/{key}"]
        except KeyError:
            raise ObjectNotFoundError(f"{self.url(key)}: there is no such object", path=self.url(key)) from None

    def _versioned(self, key: str, version: str | None) -> Any:
        """The file, which must be that version where one is given."""
        file = self._file(key)
        found = _described(key, file).version
        if version is not None and found != version:
            url = self.url(key)
            raise ObjectChangedError(f"{url} was replaced: found {found}, expected {version}", path=url)
        return file

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        with _lock:
            keys = [path[1:] for path in self._filesystem.store]
            found = [key for key in keys if key.startswith(prefix) and (recursive or "/" not in key[len(prefix) :])]
            objects = [self.stat(key) for key in sorted(found)]
        yield from objects

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with _lock:
            file = self._file(key)
            record(requests=1, received=file.size)
            return file.getvalue(), _described(key, file)

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        with _lock, self._versioned(key, version).getbuffer() as data:
            for view in into:
                piece = data[offset : offset + view.nbytes]
                view[: piece.nbytes] = piece
                offset += view.nbytes
            size = data.nbytes
        record(requests=1, received=sum(view.nbytes for view in into))
        if offset > size:
            url = self.url(key)
            raise ShortReadError(f"{url} ends at byte {size}, expected {offset} bytes or more", path=url)

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        whole = bytes(flat_view(data))
        record(requests=1, sent=len(whole))
        return self.publish(key, whole, condition, crc32c, commit_id)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        return _MemoryUpload(self, key, size, condition, commit_id)

    def publish(
        self, key: str, data: bytes | bytearray, condition: WriteCondition, crc32c: int, commit_id: str | None
    ) -> ObjectInfo:
        """Make the bytes the object, if they are those of the checksum and the condition holds."""
        if checksum_of(data) != crc32c:
            raise UploadCorruptedError(
                f"{self.url(key)} was not written: its bytes have the CRC-32C {checksum_of(data):#010x}, expected "
                f"{crc32c:#010x}",
                path=self.url(key),
            )
        return self._store(key, data, condition, commit_id)

    def _store(self, key: str, data: bytes | bytearray, condition: WriteCondition, commit_id: str | None) -> ObjectInfo:
        with _lock:
            self._check(key, condition)
            file = MemoryFile(self._filesystem, f"/{key}", data)
            file.cloudckpt_commit_id = commit_id
            file.commit()
            file.modified = datetime.fromtimestamp(self._clock(), UTC)
            return _described(key, file)

    def _check(self, key: str, condition: WriteCondition) -> None:
        """Raise where the condition does not hold."""
        try:
            found: str | None = self.stat(key).version
        except ObjectNotFoundError:
            found = None
        if isinstance(condition, IfAbsent) and found is not None:
            raise PreconditionFailedError(f"{self.url(key)} was not written: it exists already", path=self.url(key))
        if isinstance(condition, IfVersion) and found != condition.version:
            raise PreconditionFailedError(
                f"{self.url(key)} was not written: found version {found}, expected {condition.version}",
                path=self.url(key),
            )

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        with _lock:
            data = self._versioned(source.key, source.version).getvalue()
            return self._store(key, data, condition, commit_id)

    def delete(self, keys: Iterable[str]) -> None:
        with _lock:
            for key in keys:
                self._filesystem.store.pop(f"/{key}", None)

    def delete_if_version(self, key: str, version: str) -> None:
        with _lock:
            if f"/{key}" in self._filesystem.store:
                self._check(key, IfVersion(version))
                del self._filesystem.store[f"/{key}"]

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """None: an upload's bytes are its own until it completes, and are freed with it."""
        return iter(())

    def time(self) -> float:
        return self._clock()

    def close(self) -> None:
        """Do nothing: the objects stay until the process ends."""


def _described(key: str, file: Any) -> ObjectInfo:
    """The object as it is; one that another program wrote gets its token at the first look."""
    if not hasattr(file, "cloudckpt_token"):
        file.cloudckpt_token = next(_tokens)
    modified = file.modified.timestamp()
    version = f"{file.cloudckpt_token}-{modified}-{file.size}"
    return ObjectInfo(key, file.size, version, modified, getattr(file, "cloudckpt_commit_id", None))


class _MemoryUpload(Upload):
    """Bytes that become an object when they are complete."""

    part_size = 8 << 20

    def __init__(
        self, store: MemoryStore, key: str, size: int, condition: WriteCondition, commit_id: str | None
    ) -> None:
        self._store, self._key, self._size, self._condition, self._commit_id = store, key, size, condition, commit_id
        self._data = bytearray(size)
        self._written: dict[int, int] = {}
        self._open = True

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        data = b"".join(flat_views(buffers))
        self._check_open()
        if checksum_of(data) != crc32c:
            raise UploadCorruptedError(f"{self._store.url(self._key)}: the part at byte {offset} has another CRC-32C")
        if offset + len(data) > self._size:
            raise StorageError(f"{self._store.url(self._key)}: a part ends beyond its {self._size} bytes")
        self._data[offset : offset + len(data)] = data
        self._written[offset] = len(data)
        record(requests=1, sent=len(data))

    def complete(self, crc32c: int) -> ObjectInfo:
        self._check_open()
        url = self._store.url(self._key)
        written = sum(self._written.values())
        try:
            if written != self._size:
                raise StorageError(
                    f"{url}: {written} of {self._size} bytes were written before it was completed", path=url
                )
            return self._store.publish(self._key, self._data, self._condition, crc32c, self._commit_id)
        finally:
            self.abort()

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError(f"{self._store.url(self._key)}: the upload was completed or aborted")

    def abort(self) -> None:
        self._open = False
        self._data = bytearray()
