"""Any filesystem that fsspec knows: a temporary object, then a move. One writer at a time."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem
from fsspec.implementations.cached import CachingFileSystem

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    ShortReadError,
    TransientStorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.buffers import fill, flat_view
from cloudckpt.storage.failures import Failures
from cloudckpt.storage.filesystem.errors import classified
from cloudckpt.storage.filesystem.info import described
from cloudckpt.storage.filesystem.process import of_each_process, protocols
from cloudckpt.storage.filesystem.upload import FilesystemUpload
from cloudckpt.storage.single_writer import warn_of_single_writer
from cloudckpt.storage.store import Capabilities, IfAbsent, IfVersion, ObjectInfo, Store, Unfinished
from cloudckpt.storage.temporaries import completed_name, is_temporary
from cloudckpt.storage.traffic import record
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Upload, WriteCondition

_RENAMING = {"file", "local", "sftp", "ssh", "ftp", "smb", "hdfs", "arrow_hdfs", "webhdfs", "webHDFS"}
"""Protocols whose `mv` is the server's rename; that of the base class copies, then deletes."""

_WITHOUT_FOLDERS = {
    *("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "tos", "b2", "r2", "hf"),
    *("http", "https", "memory"),
}
"""Protocols whose folders are only parts of names; making one may make a bucket."""

_PART_SIZE = 8 << 20
_LOOKS = 5
"""How often `get` tries to see the same version before and after it reads."""


class FilesystemStore(Store):
    """The objects of one fsspec filesystem; keys are its paths.

    fsspec has no conditional writes, so two writers of one prefix can't be told apart: `IfAbsent` looks before it
    writes, with one `SingleWriterWarning` a filesystem and process, and `IfVersion` is refused. A forked child has a
    filesystem of its own, made of the same arguments.

    What caches files (`simplecache::`, `filecache::`, `blockcache::`) is passed by: it would give the bytes of a state
    file or an index that was replaced since.

    Args:
        filesystem: any `fsspec.AbstractFileSystem`.
        root: what a person writes before a key to make it a URL, without credentials; by default what the
            filesystem's `unstrip_protocol` makes of it.
        part_size: bytes of a large object that are handed to the filesystem at once.
    """

    def __init__(self, filesystem: Any, root: str | None = None, *, part_size: int = _PART_SIZE) -> None:
        self._part_size = part_size
        while isinstance(filesystem, CachingFileSystem):
            filesystem = filesystem.fs
        self._each_process = of_each_process(filesystem)
        self._root = root

    @property
    def _filesystem(self) -> Any:
        return self._each_process.get()

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
        return protocols(innermost)

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

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        folder, start = posixpath.split(prefix)
        files = self._files(folder, recursive=recursive)
        for name in sorted(files):
            if name.startswith(start) and not is_temporary(posixpath.basename(name)):
                yield from self._listed(prefix.removesuffix(start) + name, files[name])

    def _files(self, folder: str, *, recursive: bool = False) -> dict[str, dict[str, Any]]:
        """What the filesystem says of the files of a folder, by their names in it; empty if there is no such folder."""
        try:
            with classified(self.url(folder), self._filesystem):
                self._filesystem.invalidate_cache(folder)
                if recursive:
                    entries = self._filesystem.find(folder, detail=True).values()
                else:
                    entries = self._filesystem.ls(folder, detail=True)
        except ObjectNotFoundError:
            return {}
        named = _path_in_folder if recursive else _file_name
        return {name: entry for entry in entries if (name := named(entry, folder))}

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
            record(received=len(data))
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
        record(received=len(data))
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
        fill(into, data)

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        """As `Store`. A move whose answer is lost is looked at once more at once, while its temporary is known."""
        view = flat_view(data)
        with self.create(key, view.nbytes, condition, commit_id=commit_id) as upload:
            upload.write(0, [view], crc32c)
            try:
                return upload.complete(crc32c)
            except TransientStorageError:
                return upload.complete(crc32c)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        if isinstance(condition, IfVersion):
            raise self._unsupported(key, "replaced")
        if isinstance(condition, IfAbsent):
            warn_of_single_writer("::".join(sorted(self._protocols())))
        return FilesystemUpload(self, self._filesystem, key, size, condition, part_size=self._part_size)

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

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Hidden temporaries, with the times that the filesystem gives them. One request."""
        folder, start = posixpath.split(prefix)
        for name, entry in sorted(self._files(folder).items()):
            completed = completed_name(name)
            if completed is not None and completed.startswith(start):
                before = prefix.removesuffix(start)
                info = described(before + name, entry)
                discard = partial(self.delete, [info.key])
                yield Unfinished(before + completed, info.modified, info.size, discard, is_ours=True)

    def time(self) -> float:
        """0.0: no filesystem tells its clock."""
        return 0.0

    def close(self) -> None:
        """Do nothing: fsspec keeps its filesystems for others in the process."""


def _parent(key: str) -> str:
    return posixpath.dirname(key)


def _path_in_folder(entry: dict[str, Any], folder: str) -> str:
    """The path, from the folder on, of a file listed below it; empty for folders."""
    path, above = entry["name"].strip("/"), f"{folder.strip('/')}/".lstrip("/")
    return "" if entry.get("type") == "directory" or not path.startswith(above) else path.removeprefix(above)


def _file_name(entry: dict[str, Any], folder: str) -> str:
    """The name in the folder of a listed file; empty for folders, and for the "folder" itself where it is a file."""
    path = entry["name"].rstrip("/")
    is_itself = path.strip("/") == folder.strip("/")
    return "" if entry.get("type") == "directory" or is_itself else path.rpartition("/")[2]
