"""A store that fails at the N-th operation, in the way that is asked for."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from cloudckpt.errors import TransientStorageError
from cloudckpt.storage.store import ObjectInfo, Store, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Capabilities, Unfinished, WriteCondition

Mode = Literal["before", "after", "during"]


class Crash(BaseException):
    """The end of the process: no `except Exception` catches it, as none runs after a SIGKILL."""


class FaultyStore(Store):
    """A store that works as another one until its N-th operation.

    Counted are `stat`, `list`, `get`, `read`, `put`, `create`, each part (`write`), `complete`, `copy`, `delete`,
    `delete_if_version`, `unfinished` and each `discard`; not `url`, `capabilities`, `time`, `abort` and `close`. With
    `forever` the store is dead from then on: nothing reaches the inner one any more, `abort` included, as when the
    process was killed or the network is gone.

    Args:
        inner: the store that does the work.
        fail_at: the number of the operation that fails, from 1; 0 for none, to count them.
        mode: "before" it takes effect; "after" it took effect, so that only the answer is lost; "during": reads and
            listings give half, deletions delete half, a `put` or a `copy` leaves an upload that was begun, others as
            "before".
        forever: whether all operations after it fail, too.
        error: what is raised; by default a `TransientStorageError`. `Crash()` is the death of the process.

    Attributes:
        operations: what was asked for so far, such as "put ckpt-1.index", the failed ones included.
    """

    def __init__(
        self,
        inner: Store,
        fail_at: int,
        mode: Mode = "before",
        forever: bool = False,
        error: BaseException | None = None,
    ) -> None:
        self._inner = inner
        self._fail_at = fail_at
        self._mode = mode
        self._forever = forever
        self._error = error or TransientStorageError("an injected fault")
        self._lock = threading.Lock()
        self.operations: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether the operation that was to fail has come."""
        return 0 < self._fail_at <= len(self.operations)

    @property
    def dead(self) -> bool:
        """Whether nothing reaches the inner store any more."""
        return self.failed and self._forever

    @contextmanager
    def operation(self, name: str, key: str, half: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Count one operation, the block, and fail it if it is its turn; `half` is what it does "during"."""
        with self._lock:
            was_dead = self.dead
            self.operations.append(f"{name} {key.rpartition('/')[2]}")
            due = len(self.operations) == self._fail_at
        if was_dead or (due and self._mode == "before"):
            raise self._error
        if due and self._mode == "during":
            half()
            raise self._error
        yield
        if due:
            raise self._error

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    def url(self, key: str) -> str:
        return self._inner.url(key)

    def stat(self, key: str) -> ObjectInfo:
        with self.operation("stat", key):
            return self._inner.stat(key)

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        found: list[ObjectInfo] = []

        def half() -> None:
            whole = [*self._inner.list(prefix, recursive=recursive)]
            found.extend(whole[: len(whole) // 2])

        try:
            with self.operation("list", prefix, half):
                found.extend(self._inner.list(prefix, recursive=recursive))
        except BaseException:
            yield from found
            raise
        yield from found

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self.operation("get", key):
            return self._inner.get(key)

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        def half() -> None:
            self._inner.read(key, offset, into[: len(into) // 2], version)

        with self.operation("read", key, half):
            self._inner.read(key, offset, into, version)

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        def half() -> None:
            self._inner.create(key, memoryview(data).nbytes, condition, commit_id=commit_id)

        with self.operation("put", key, half):
            return self._inner.put(key, data, condition, crc32c=crc32c, commit_id=commit_id)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        with self.operation("create", key):
            upload = self._inner.create(key, size, condition, commit_id=commit_id)
            return _FaultyUpload(self, upload, key)

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        def half() -> None:
            self._inner.create(key, source.size, condition, commit_id=commit_id)

        with self.operation("copy", key, half):
            return self._inner.copy(source, key, condition, commit_id=commit_id)

    def delete(self, keys: Iterable[str]) -> None:
        doomed = [*keys]
        half = doomed[: len(doomed) // 2]
        with self.operation("delete", doomed[0] if doomed else "", partial(self._inner.delete, half)):
            self._inner.delete(doomed)

    def delete_if_version(self, key: str, version: str) -> None:
        with self.operation("delete_if_version", key):
            self._inner.delete_if_version(key, version)

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        with self.operation("unfinished", prefix):
            found = [*self._inner.unfinished(prefix)]
        for upload in found:
            yield replace(upload, discard=partial(self._discard, upload))

    def _discard(self, upload: Unfinished) -> None:
        with self.operation("discard", upload.key):
            upload.discard()

    def time(self) -> float:
        return self._inner.time()

    def close(self) -> None:
        self._inner.close()


class _FaultyUpload(Upload):
    """The upload of a store that may die."""

    def __init__(self, store: FaultyStore, upload: Upload, key: str) -> None:
        self._store, self._upload, self._key = store, upload, key
        self.part_size = upload.part_size

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        with self._store.operation("write", self._key):
            self._upload.write(offset, buffers, crc32c)

    def complete(self, crc32c: int) -> ObjectInfo:
        with self._store.operation("complete", self._key):
            return self._upload.complete(crc32c)

    def abort(self) -> None:
        if not self._store.dead:
            self._upload.abort()
