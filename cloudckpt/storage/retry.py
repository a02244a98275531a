"""Failed requests are tried again, and lost answers are settled."""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cloudckpt.errors import (
    CommitUnknownError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
)
from cloudckpt.storage.attempts import MAX_RETRY_SECONDS, Attempts
from cloudckpt.storage.deadline import at_least, grace, pause
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, ObjectInfo, Store, Unfinished, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Capabilities, WriteCondition

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

SETTLING = 5.0
"""Seconds for finding out what became of a write, also when the caller's time is over."""
LOOKS = (0.0, 1.0)
"""Seconds before each look: where only the waiting was cut off, the server may still be at work on the write."""


class RetryingStore(Store):
    """A store whose transient failures are tried again, as `Attempts` does.

    A conditional write whose answer was lost may have taken effect, and then fails its own condition when it is sent
    again. Each write therefore carries a random commit id, and what became of it is read back: the id is there (it
    succeeded), another one is (`PreconditionFailedError`), or it stays unproved (`CommitUnknownError`).

    Args:
        store: it classifies its errors, and does not retry.
        max_retry_seconds: after this long since an operation began no further attempt is made.
        sleep: waits that many seconds; for tests.
        clock: seconds, going only forward; for tests.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_retry_seconds: float = MAX_RETRY_SECONDS,
        sleep: Callable[[float], None] = pause,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self.max_concurrency, self.range_size = store.max_concurrency, store.range_size
        self._sleep = sleep
        self._attempts = Attempts(max_retry_seconds, sleep=sleep, clock=clock)

    @property
    def capabilities(self) -> Capabilities:
        return self.attempt("look at what it can do", lambda: self._store.capabilities)

    def url(self, key: str) -> str:
        return self._store.url(key)

    def stat(self, key: str) -> ObjectInfo:
        return self.attempt(f"stat {self.url(key)}", lambda: self._store.stat(key))

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        what, cursor = f"list {self.url(prefix)}", _Cursor(self._store, prefix, recursive)
        while (info := self.attempt(what, cursor.advance)) is not None:
            yield info

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        return self.attempt(f"get {self.url(key)}", lambda: self._store.get(key))

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        self.attempt(f"read {self.url(key)}", lambda: self._store.read(key, offset, into, version))

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        written_as = commit_id or uuid.uuid4().hex
        return self.write_on_condition(
            key,
            condition,
            written_as,
            lambda: self._store.put(key, data, condition, crc32c=crc32c, commit_id=written_as),
        )

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        written_as = commit_id or uuid.uuid4().hex
        upload = self.attempt(
            f"create {self.url(key)}", lambda: self._store.create(key, size, condition, commit_id=written_as)
        )
        return _RetryingUpload(self, upload, key, condition, written_as)

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        written_as = commit_id or uuid.uuid4().hex
        return self.write_on_condition(
            key, condition, written_as, lambda: self._store.copy(source, key, condition, commit_id=written_as)
        )

    def delete(self, keys: Iterable[str]) -> None:
        doomed = list(keys)
        what = f"delete {self.url(doomed[0])} and {len(doomed) - 1} more" if doomed else "delete nothing"
        self.attempt(what, lambda: self._store.delete(doomed))

    def delete_if_version(self, key: str, version: str) -> None:
        """As `Store`. Its own lost success looks like an object that is gone, which is no error."""
        self.attempt(f"delete {self.url(key)}", lambda: self._store.delete_if_version(key, version))

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """As `Store`; all pages are asked for before the first is given, as they go on from no key."""
        for upload in self.attempt(
            f"list unfinished uploads of {self.url(prefix)}", lambda: [*self._store.unfinished(prefix)]
        ):
            what = f"discard an upload of {self.url(upload.key)}"
            yield replace(upload, discard=partial(self.attempt, what, upload.discard))

    def time(self) -> float:
        return self._store.time()

    def close(self) -> None:
        self._store.close()

    def attempt(self, what: str, operation: Callable[[], _Result]) -> _Result:
        """Do it, and again as `Attempts.run` does."""
        return self._attempts.run(what, operation)

    def write_on_condition(
        self, key: str, condition: WriteCondition, commit_id: str, write: Callable[[], ObjectInfo]
    ) -> ObjectInfo:
        """Do a write that may take effect once only, and find out what became of it where no answer says so.

        Raises:
            PreconditionFailedError: the condition did not hold; another writer's object is there.
            CommitUnknownError: an answer was lost, and reading back did not tell.
            StorageError: the write failed, for certain.
        """
        lost: list[TransientStorageError] = []

        def write_once() -> ObjectInfo:
            try:
                return write()
            except TransientStorageError as error:
                lost.append(error)
                raise

        try:
            return self.attempt(f"write {self.url(key)}", write_once)
        except StorageError as error:
            if not lost and isinstance(error, PreconditionFailedError):
                return self._sent_twice(key, commit_id, error)
            # Without a lost answer it did not take effect. Without a condition it could be repeated whatever it did,
            # unless the upload was gone, which it is once it has succeeded.
            if not lost or (isinstance(condition, Always) and not isinstance(error, ObjectNotFoundError)):
                raise
            return self._settled(key, condition, commit_id, error)

    def _sent_twice(self, key: str, commit_id: str, error: PreconditionFailedError) -> ObjectInfo:
        """The object, if it is this write that its condition failed of: a gateway between may send a PUT again."""
        found = self._read_back(key, lambda _: True)
        if found is None or found.commit_id != commit_id:
            raise error
        return found

    def _settled(self, key: str, condition: WriteCondition, commit_id: str, error: StorageError) -> ObjectInfo:
        """What became of a write whose answer was lost, and that ended with `error`."""

        def is_another(found: ObjectInfo) -> bool:
            return found.commit_id is not None and _excludes(condition, found)

        url = self.url(key)
        found = self._read_back(key, lambda found: found.commit_id == commit_id or is_another(found))
        if found is not None and found.commit_id == commit_id:
            _log.info("%s was written, though the answer was lost", url)
            return found
        if found is not None and is_another(found):
            raise PreconditionFailedError(f"{url} was not written: another writer was first", path=url) from error
        raise CommitUnknownError(
            f"{url}: the answer to its write was lost, and what is there does not tell whether it took effect: "
            f"look before you write again ({error})",
            path=url,
            commit_id=commit_id,
        ) from error

    def _read_back(self, key: str, is_decisive: Callable[[ObjectInfo], bool]) -> ObjectInfo | None:
        """What is there; or a little later, where that decides nothing."""
        found = None
        try:
            with at_least(SETTLING):
                for seconds in LOOKS:
                    self._sleep(seconds)
                    with suppress(ObjectNotFoundError):
                        found = self.stat(key)
                        if is_decisive(found):
                            break
        except StorageError as unreadable:
            _log.warning("%s can't be read back: %s", self.url(key), unreadable)
        return found


def _excludes(condition: WriteCondition, found: ObjectInfo) -> bool:
    """Whether a write on that condition can't take effect any more, given what is there."""
    return isinstance(condition, IfAbsent) or (isinstance(condition, IfVersion) and found.version != condition.version)


class _Cursor:
    """A listing that begins again after a failure, behind the last key that it gave."""

    def __init__(self, store: Store, prefix: str, recursive: bool) -> None:
        self._store, self._prefix, self._recursive = store, prefix, recursive
        self._pages: Iterator[ObjectInfo] | None = None
        self._last: str | None = None

    def advance(self) -> ObjectInfo | None:
        """The next object, or None at the end."""
        pages = self._pages or self._store.list(self._prefix, recursive=self._recursive)
        self._pages = None  # a listing that has raised is at its end
        for info in pages:
            if self._last is None or info.key > self._last:
                self._last, self._pages = info.key, pages
                return info
        self._pages = iter(())
        return None


class _RetryingUpload(Upload):
    """An upload whose parts are sent again, and whose completion is settled."""

    def __init__(
        self, store: RetryingStore, upload: Upload, key: str, condition: WriteCondition, commit_id: str
    ) -> None:
        self._store, self._upload, self._key, self._condition, self._commit_id = (
            store,
            upload,
            key,
            condition,
            commit_id,
        )
        self.part_size = upload.part_size
        self._completed = False

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        what = f"write {self._store.url(self._key)} from byte {offset}"
        self._store.attempt(what, lambda: self._upload.write(offset, buffers, crc32c))

    def complete(self, crc32c: int) -> ObjectInfo:
        try:
            info = self._store.write_on_condition(
                self._key, self._condition, self._commit_id, lambda: self._upload.complete(crc32c)
            )
        finally:
            self.unproved = self._upload.unproved
        self._completed = True
        return info

    def abort(self) -> None:
        if not self._completed:
            with grace():
                self._upload.abort()
