"""The disks of this machine: hidden temporary file, write, fsync, link or rename, fsync of the folder."""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError, PreconditionFailedError
from cloudckpt.storage.failures import Failures
from cloudckpt.storage.local_copy import copy_file
from cloudckpt.storage.local_descriptors import DescriptorCache
from cloudckpt.storage.local_errors import translated
from cloudckpt.storage.local_folder import folder_open, locked, split
from cloudckpt.storage.local_io import read_into, sync
from cloudckpt.storage.local_network import LOCK_NAME
from cloudckpt.storage.local_upload import LocalUpload
from cloudckpt.storage.local_version import described, refuse_pipe, require_version, version_of
from cloudckpt.storage.one_part import put_in_one_part
from cloudckpt.storage.store import Capabilities, ObjectInfo, Store
from cloudckpt.storage.temporaries import is_temporary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Upload, WriteCondition


class LocalStore(Store):
    """Every file of this machine; keys are absolute paths.

    A version is the file's inode, time of modification and size: see `local_version.stamp` for why that is enough.

    Args:
        fsync: whether what returns survives a power cut: files and folders are flushed to the disk. The default is
            True, or False where the environment has CLOUDCKPT_FSYNC=0.
    """

    def __init__(self, *, fsync: bool | None = None) -> None:
        self._fsync = os.environ.get("CLOUDCKPT_FSYNC") != "0" if fsync is None else fsync
        self._descriptors = DescriptorCache()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            create_if_absent=True,
            replace_if_version=True,
            delete_if_version=True,
            atomic_rename=True,
            durable_on_return=self._fsync,
            server_side_copy=True,
            parallel_upload=True,
            local_files=True,
        )

    def url(self, key: str) -> str:
        return key

    def stat(self, key: str) -> ObjectInfo:
        with translated(key, reading=True):
            return described(key, os.stat(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder, start = split(prefix)
        try:
            with translated(folder, reading=True), os.scandir(folder) as entries:
                names = [e.name for e in entries if e.name.startswith(start) and not _is_own(e.name)]
        except ObjectNotFoundError:
            return
        for name in sorted(names):
            try:
                yield self.stat(prefix.removesuffix(start) + name)
            except ObjectNotFoundError:
                continue  # deleted since, or a folder

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with translated(key, reading=True):
            refuse_pipe(key)
            with open(key, "rb", buffering=0) as file:
                info = described(key, os.fstat(file.fileno()))
                data: bytes = file.readall()
                require_version(key, file.fileno(), info.version)
        return data, info

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        """Fill the buffers from the file: `preadv`, no copy.

        With a version, the file stays open for the next read, so that a reader goes on with the version that it began
        with after others have replaced or deleted it.
        """
        with translated(key, reading=True), self._descriptors.borrow(key, version) as descriptor:
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
        return LocalUpload(key, size, condition, fsync=self._fsync, replaced=self._descriptors.forget)

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        """Copy a file, with no byte moved where the file system has links: `local_copy` says what that means."""
        info = copy_file(source, key, condition, fsync=self._fsync)
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
        """Delete files of one folder under one lock and with one fsync."""
        with translated(folder), folder_open(folder) as directory, locked(directory, folder, required=False):
            for key in keys:
                with failures.collected(), translated(key):
                    os.unlink(split(key)[1], dir_fd=directory)
                self._descriptors.forget(key)
            if self._fsync:
                sync(directory)

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
            os.unlink(name, dir_fd=directory)
            if self._fsync:
                sync(directory)
        self._descriptors.forget(key)

    def close(self) -> None:
        self._descriptors.close()


def _is_own(name: str) -> bool:
    """Whether a file is the store's own, and no object."""
    return name == LOCK_NAME or is_temporary(name)
