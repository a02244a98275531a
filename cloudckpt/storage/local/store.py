"""The disks of this machine: hidden temporary file, write, fsync, link or rename, fsync of the folder."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError, PreconditionFailedError
from cloudckpt.storage.failures import Failures
from cloudckpt.storage.local.copy import copy_file
from cloudckpt.storage.local.descriptors import DescriptorCache
from cloudckpt.storage.local.durability import Durability
from cloudckpt.storage.local.errors import again_if_stale, translated, while_reading
from cloudckpt.storage.local.folder import folder_open, locked, paths_below, split
from cloudckpt.storage.local.io import read_into
from cloudckpt.storage.local.network import LOCK_NAME
from cloudckpt.storage.local.upload import LocalUpload
from cloudckpt.storage.local.version import described, refuse_pipe, require_version, version_of
from cloudckpt.storage.one_part import put_in_one_part
from cloudckpt.storage.store import Capabilities, ObjectInfo, Store, Unfinished
from cloudckpt.storage.temporaries import completed_name, is_temporary
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Upload, WriteCondition


class LocalStore(Store):
    """Every file of this machine; keys are absolute paths.

    A version is the file's inode, time of modification and size: see `version.stamp` for why that is enough.

    Args:
        fsync: whether what returns survives a power cut: files and folders are flushed to the disk. The default is
            True, or False where the environment has CLOUDCKPT_FSYNC=0.
    """

    range_size = 8 << 20  # no wait, and few enough to be in the processor's cache when their checksum is computed

    def __init__(self, *, fsync: bool | None = None) -> None:
        wanted = os.environ.get("CLOUDCKPT_FSYNC") != "0" if fsync is None else fsync
        self._durability = Durability(fsync=wanted)
        self._descriptors = DescriptorCache()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            create_if_absent=True,
            replace_if_version=True,
            delete_if_version=True,
            atomic_rename=True,
            durable_on_return=self._durability.fsync,
            server_side_copy=True,
            parallel_upload=True,
            local_files=True,
            server_times=True,
        )

    def url(self, key: str) -> str:
        return key

    def stat(self, key: str) -> ObjectInfo:
        with while_reading(key):
            return described(key, again_if_stale(lambda: os.stat(key)))

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        paths = [path for path in paths_below(prefix, recursive=recursive) if not _is_own(split(path)[1])]
        yield from self._described(sorted(paths))

    def _described(self, paths: Iterable[str]) -> Iterator[ObjectInfo]:
        for path in paths:
            try:
                yield self.stat(path)
            except ObjectNotFoundError:
                continue  # deleted since, or a folder

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with while_reading(key):
            return again_if_stale(lambda: self._get(key))

    def _get(self, key: str) -> tuple[bytes, ObjectInfo]:
        refuse_pipe(key)
        with open(key, "rb", buffering=0) as file:
            info = described(key, os.fstat(file.fileno()))
            data: bytes = file.readall()
            record(requests=1, received=len(data))
            require_version(key, file.fileno(), info.version)
        return data, info

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        """Fill the buffers from the file: `preadv`, no copy.

        With a version, the file stays open for the next read, so that a reader goes on with the version that it began
        with after others have replaced or deleted it.
        """
        with while_reading(key):
            again_if_stale(lambda: self._read(key, offset, into, version), lambda: self._descriptors.forget(key))

    def _read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None) -> None:
        with self._descriptors.borrow(key, version) as descriptor:
            if version is None:
                described(key, os.fstat(descriptor))  # no folder
            else:
                require_version(key, descriptor, version)
            read_into(descriptor, offset, into, key)

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        return put_in_one_part(self, key, data, condition, crc32c=crc32c, commit_id=commit_id)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        return LocalUpload(key, size, condition, self._durability, replaced=self._descriptors.forget)

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        """Copy a file, with no byte moved where the file system has links: `copy_file` says what that means."""
        info = copy_file(source, key, condition, self._durability)
        self._descriptors.forget(key)
        return info

    def delete(self, keys: Iterable[str]) -> None:
        in_order = sorted(keys, key=split)
        failures = Failures()
        for folder, inside in itertools.groupby(in_order, lambda key: split(key)[0]):
            with failures.collected():
                self._delete_from(folder, inside, failures)
        failures.raise_first()

    def _delete_from(self, folder: str, keys: Iterable[str], failures: Failures) -> None:
        """Delete files of one folder under one lock."""
        with translated(folder), folder_open(folder) as directory, locked(directory, folder, required=False):
            self._durability.flush(directory)  # what was seen and made them superfluous must not be lost without them
            for key in keys:
                with failures.collected(), translated(key):
                    os.unlink(split(key)[1], dir_fd=directory)
                self._descriptors.forget(key)
            self._durability.flush(directory)

    def delete_if_version(self, key: str, version: str) -> None:
        folder, name = split(key)
        with (
            suppress(ObjectNotFoundError),  # gone already
            translated(key),
            folder_open(folder) as directory,
            locked(directory, folder, required=True),
        ):
            found = version_of(os.stat(name, dir_fd=directory))
            if found != version:
                raise PreconditionFailedError(
                    f"{key} was not deleted: found version {found}, expected {version}", path=key
                )
            self._durability.flush(directory)  # as in _delete_from
            os.unlink(name, dir_fd=directory)
            self._durability.flush(directory)
        self._descriptors.forget(key)

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Hidden temporaries; each began when it was last written."""
        _, start = split(prefix)
        folder = prefix.removesuffix(start)
        becoming = {path: completed_name(split(path)[1]) for path in paths_below(f"{folder}.")}
        for info in self._described(sorted(path for path, name in becoming.items() if name is not None)):
            key = f"{folder}{becoming[info.key]}"
            if key.startswith(prefix):
                yield Unfinished(key, info.modified, info.size, partial(self.delete, [info.key]), is_ours=True)

    def time(self) -> float:
        return time.time()

    def close(self) -> None:
        self._descriptors.close()


def _is_own(name: str) -> bool:
    """Whether a file is the store's own, and no object."""
    return name == LOCK_NAME or is_temporary(name)
