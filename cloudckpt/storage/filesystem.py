"""Any filesystem that fsspec knows: a temporary object, then a move. One writer at a time."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    ShortReadError,
    UnsupportedOperationError,
)
from cloudckpt.storage.failures import Failures
from cloudckpt.storage.filesystem_errors import classified
from cloudckpt.storage.filesystem_info import described
from cloudckpt.storage.filesystem_upload import FilesystemUpload
from cloudckpt.storage.one_part import put_in_one_part
from cloudckpt.storage.single_writer import warn_of_single_writer
from cloudckpt.storage.store import Capabilities, IfAbsent, IfVersion, ObjectInfo, Store
from cloudckpt.storage.temporaries import is_temporary
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Upload, WriteCondition

_RENAMING = {"file", "local", "sftp", "ssh", "smb", "hdfs", "arrow_hdfs"}
"""Protocols whose `mv` is the server's rename; that of the base class copies, then deletes."""

_WITHOUT_FOLDERS = {
    *("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "tos", "b2", "r2", "hf"),
    *("http", "https", "memory"),
}
"""Protocols whose folders are only parts of names; making one may make a bucket."""

_LOOKS = 5
"""How often `get` tries to see the same version before and after it reads."""


class FilesystemStore(Store):
    """The objects of one fsspec filesystem; keys are its paths.

    fsspec has no conditional writes, so two writers of one prefix can't be told apart: `IfAbsent` looks before it
    writes, with one `SingleWriterWarning` a filesystem and process, and `IfVersion` is refused.

    Args:
        filesystem: any `fsspec.AbstractFileSystem`.
        root: what a person writes before a key to make it a URL, without credentials; by default what the
            filesystem's `unstrip_protocol` makes of it.
    """

    def __init__(self, filesystem: Any, root: str | None = None) -> None:
        self._filesystem = filesystem
        self._root = root

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(atomic_rename=not _RENAMING.isdisjoint(self._protocols()))

    @property
    def has_folders(self) -> bool:
        """Whether folders must be made before anything is written into them."""
        return _WITHOUT_FOLDERS.isdisjoint(self._protocols())

    def _protocols(self) -> set[str]:
        """The protocols of the filesystem that really holds the bytes, below those that cache or confine it."""
        innermost = self._filesystem
        while isinstance(below := getattr(innermost, "fs", None), AbstractFileSystem):
            innermost = below
        protocol = innermost.protocol
        return {protocol} if isinstance(protocol, str) else set(protocol)

    def url(self, key: str) -> str:
        return redacted(self._filesystem.unstrip_protocol(key) if self._root is None else f"{self._root}{key}")

    def stat(self, key: str) -> ObjectInfo:
        url = self.url(key)
        with classified(url, self._filesystem):
            self._filesystem.invalidate_cache(_parent(key))
            info = self._filesystem.info(key)
        if info.get("type") == "directory":
            raise ObjectNotFoundError(f"{url} is a folder, not an object", path=url)
        return described(key, info)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder, start = posixpath.split(prefix)
        try:
            with classified(self.url(folder), self._filesystem):
                self._filesystem.invalidate_cache(folder)
                entries = self._filesystem.ls(folder, detail=True)
        except ObjectNotFoundError:
            return
        files = {name: entry for entry in entries if (name := _file_name(entry, folder))}
        for name in sorted(files):
            if name.startswith(start) and not is_temporary(name):
                yield from self._listed(prefix.removesuffix(start) + name, files[name])

    def _listed(self, key: str, entry: dict[str, Any]) -> Iterator[ObjectInfo]:
        """One listed object; looked at by itself where the listing has no more than its name, as web pages do."""
        if entry.get("size") is not None:
            yield described(key, entry)
            return
        with suppress(ObjectNotFoundError):  # deleted since
            yield self.stat(key)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Read one whole object. Three requests: the version is looked at before and after the bytes are read."""
        before = self.stat(key)
        for _ in range(_LOOKS):
            with classified(self.url(key), self._filesystem):
                data: bytes = self._filesystem.cat_file(key)
            after = self.stat(key)
            if after.version == before.version and len(data) == after.size:
                return data, after
            before = after
        raise ObjectChangedError(f"{self.url(key)} was replaced each time it was read", path=self.url(key))

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        """Fill the buffers. One copy; one request, and with a version another that looks at it afterwards."""
        url = self.url(key)
        end = offset + sum(view.nbytes for view in into)
        with classified(url, self._filesystem):
            data = self._filesystem.cat_file(key, start=offset, end=end) if end > offset else b""
        if version is not None and (found := self.stat(key).version) != version:
            raise ObjectChangedError(f"{url} was replaced: found version {found}, expected {version}", path=url)
        if len(data) > end - offset:
            raise UnsupportedOperationError(
                f"{url} can't be read in parts: asked for {end - offset} bytes from byte {offset} on, it answered with "
                f"{len(data)}, as web servers without range requests do. Copy the checkpoint to another store",
                path=url,
            )
        if len(data) < end - offset:
            raise ShortReadError(
                f"{url} ends at byte {offset + len(data)}, expected {end} bytes or more",
                path=url,
            )
        rest = memoryview(data)
        for view in into:
            view[:], rest = rest[: view.nbytes], rest[view.nbytes :]

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        return put_in_one_part(self, key, data, condition, crc32c=crc32c, commit_id=commit_id)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        if isinstance(condition, IfVersion):
            raise self._unsupported(key, "replaced")
        if isinstance(condition, IfAbsent):
            warn_of_single_writer("::".join(sorted(self._protocols())))
        return FilesystemUpload(self, self._filesystem, key, size, condition)

    def _unsupported(self, key: str, done: str) -> UnsupportedOperationError:
        url = self.url(key)
        return UnsupportedOperationError(
            f"{url} can't be {done} on a condition: {type(self._filesystem).__name__} has no such operation; "
            "use a new prefix, or another store",
            path=url,
        )

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        """Refuse: a `cp_file` may pass the bytes through the client, and none can be asked for a version."""
        url = self.url(source.key)
        raise UnsupportedOperationError(
            f"{url} can't be copied inside {type(self._filesystem).__name__}: read it and write it anew", path=url
        )

    def delete(self, keys: Iterable[str]) -> None:
        failures = Failures()
        for key in keys:
            with failures.collected(), classified(self.url(key), self._filesystem):
                self._filesystem.rm_file(key)
                self._filesystem.invalidate_cache(_parent(key))
        failures.raise_first()

    def delete_if_version(self, key: str, version: str) -> None:
        raise self._unsupported(key, "deleted")

    def close(self) -> None:
        """Do nothing: fsspec keeps its filesystems for others in the process."""


def _parent(key: str) -> str:
    return posixpath.dirname(key)


def _file_name(entry: dict[str, Any], folder: str) -> str:
    """The name in the folder of a listed file; empty for folders, and for the "folder" itself where it is a file."""
    path = entry["name"].rstrip("/")
    is_itself = path.strip("/") == folder.strip("/")
    return "" if entry.get("type") == "directory" or is_itself else path.rpartition("/")[2]
