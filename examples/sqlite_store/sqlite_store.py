"""Checkpoints in a SQLite database: `sqlite:///data/runs.db/run/ckpt-1` is the prefix `run/ckpt-1` in that file.

Each operation is one transaction, so its conditions are atomic. An object is one row: SQLite takes 1 GB of each.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from cloudckpt import errors
from cloudckpt.storage.location import Location
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.store import Always, Capabilities, IfAbsent, IfVersion, ObjectInfo, Store, Upload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Unfinished, WriteCondition

TABLE = "CREATE TABLE IF NOT EXISTS objects (key PRIMARY KEY, size, version, modified, commit_id, data BLOB)"
INFO = "SELECT key, size, version, modified, commit_id FROM objects"
PART = "SELECT substr(data, ?, ?) FROM objects WHERE key = ?"


def open_location(url: str, storage_options: dict[str, Any]) -> Location:
    """What the entry point names. Retries are the author's choice: here, a locked database is tried again."""
    path, ending, key = url.removeprefix("sqlite://").partition(".db")
    if not ending:
        raise errors.CheckpointPathError(f"{url} names no database: expected sqlite:///folder/file.db/prefix")
    seconds = storage_options.get("max_retry_seconds", 30.0)
    return Location(RetryingStore(SQLiteStore(path + ending), max_retry_seconds=seconds), key.strip("/"))


class SQLiteStore(Store):
    """One database file, made when it is first looked at."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def capabilities(self) -> Capabilities:
        conditions = {"create_if_absent": True, "replace_if_version": True, "delete_if_version": True}
        return Capabilities(**conditions, durable_on_return=True, server_side_copy=True, parallel_upload=True)

    def url(self, key: str) -> str:
        return f"sqlite://{self._path}/{key}"

    def stat(self, key: str) -> ObjectInfo:
        with self._transaction(key) as rows:
            return self._found(rows, key)

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        with self._transaction(prefix) as rows:
            found = rows.execute(f"{INFO} WHERE substr(key, 1, ?) = ? ORDER BY key", [len(prefix), prefix]).fetchall()
        yield from (ObjectInfo(*row) for row in found if recursive or "/" not in row[0][len(prefix) :])

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self._transaction(key) as rows:
            info = self._found(rows, key)
            return rows.execute("SELECT data FROM objects WHERE key = ?", [key]).fetchone()[0], info

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        with self._transaction(key) as rows:
            info = self._found(rows, key, version)
            if offset + sum(map(len, into)) > info.size:
                raise self._error(errors.ShortReadError, key, f"it ends at byte {info.size}")
            for view in into:
                part = rows.execute(PART, [offset + 1, len(view), key]).fetchone()[0]
                view[:] = part or b""  # SQLite has NULL for no bytes
                offset += len(view)

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        with self._transaction(key) as rows:
            return self._write(rows, key, bytes(data), condition, commit_id)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        return SQLiteUpload(self, key, condition, commit_id)

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        with self._transaction(key) as rows:
            self._found(rows, source.key, source.version)
            data = rows.execute("SELECT data FROM objects WHERE key = ?", [source.key]).fetchone()[0]
            return self._write(rows, key, data, condition, commit_id)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._transaction(key) as rows:
                rows.execute("DELETE FROM objects WHERE key = ?", [key])

    def delete_if_version(self, key: str, version: str) -> None:
        with self._transaction(key) as rows:
            rows.execute("DELETE FROM objects WHERE key = ? AND version = ?", [key, version])
            self._require(rows, key, IfAbsent())  # what is left is another version

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        return iter(())  # an upload is in memory until it is complete

    def time(self) -> float:
        return 0.0  # the writer's clock sets `modified`, so `server_times` is not claimed

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _transaction(self, key: str) -> Iterator[sqlite3.Connection]:
        """A connection for one operation, so that threads and forked processes share none; any error rolls it back."""
        try:
            with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as rows:
                rows.execute("PRAGMA synchronous = EXTRA")  # what is committed survives a power cut
                rows.execute("BEGIN IMMEDIATE")
                rows.execute(TABLE)
                yield rows
                rows.execute("COMMIT")
        except sqlite3.Error as error:
            kind = errors.TransientStorageError if "locked" in str(error) else errors.StorageError
            raise self._error(kind, key, str(error)) from error

    def _error(self, kind: type[errors.StorageError], key: str, what: str) -> errors.StorageError:
        return kind(f"{self.url(key)}: {what}", path=self.url(key))

    def _found(self, rows: sqlite3.Connection, key: str, version: str | None = None) -> ObjectInfo:
        row = rows.execute(f"{INFO} WHERE key = ?", [key]).fetchone()
        if row is None:
            raise self._error(errors.ObjectNotFoundError, key, "there is no such object")
        if version not in (None, row[2]):
            raise self._error(errors.ObjectChangedError, key, f"it was replaced by version {row[2]}")
        return ObjectInfo(*row)

    def _require(self, rows: sqlite3.Connection, key: str, condition: WriteCondition) -> None:
        found = rows.execute("SELECT version FROM objects WHERE key = ?", [key]).fetchone()
        wanted = (condition.version,) if isinstance(condition, IfVersion) else None
        if not isinstance(condition, Always) and found != wanted:
            raise self._error(errors.PreconditionFailedError, key, f"{condition} does not hold, it is {found}")

    def _write(
        self, rows: sqlite3.Connection, key: str, data: bytes, condition: WriteCondition, commit_id: str | None
    ) -> ObjectInfo:
        self._require(rows, key, condition)
        row = [key, len(data), secrets.token_hex(8), time.time(), commit_id, data]
        rows.execute("REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", row)
        return self._found(rows, key)


class SQLiteUpload(Upload):
    """Keeps its parts until all are there, as the row is written at once."""

    part_size = 4 << 20

    def __init__(self, store: SQLiteStore, key: str, condition: WriteCondition, commit_id: str | None) -> None:
        self._store, self._key, self._condition, self._commit_id = store, key, condition, commit_id
        self._parts: dict[int, bytes] | None = {}

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        if self._parts is not None:
            self._parts[offset] = b"".join(buffers)

    def complete(self, crc32c: int) -> ObjectInfo:
        if self._parts is None:
            raise errors.StorageError(f"{self._store.url(self._key)}: the upload was completed or aborted before")
        data = b"".join(part for _, part in sorted(self._parts.items()))
        info = self._store.put(self._key, data, self._condition, crc32c=crc32c, commit_id=self._commit_id)
        self.abort()
        return info

    def abort(self) -> None:
        self._parts = None
