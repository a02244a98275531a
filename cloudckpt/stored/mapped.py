"""Tensors as they lie in the data files of this machine: mapped into memory, read-only, with no copy."""

from __future__ import annotations

import mmap
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.opened import FIXED_SIZE, MAX_DIMENSIONS
from cloudckpt.errors import ObjectChangedError, UnsupportedOperationError
from cloudckpt.storage.local.errors import while_reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["MappedFiles", "require_local_files"]


class MappedFiles:
    """The data files of one checkpoint, each mapped when the first of its tensors is asked for. Thread-safe.

    A mapping outlives this object, the checkpoint and the file's name: as long as an array uses it.
    """

    def __init__(self, checkpoint: BundleCheckpoint) -> None:
        self._checkpoint = checkpoint
        self._is_native = checkpoint.index.header.big_endian == (sys.byteorder == "big")
        self._lock = threading.Lock()
        self._files: dict[int, mmap.mmap] = {}

    def can_map(self, name: str) -> bool:
        """Whether a tensor's bytes, as they lie in the file, are an array of this machine's.

        That takes elements of fixed size in this machine's byte order, at least one, in one piece, and at an offset
        that suits their alignment.
        """
        entry = self._checkpoint.index.entries.get(name)
        return (
            entry is not None
            and self._is_native
            and entry.dtype in FIXED_SIZE
            and not entry.slices
            and entry.size > 0
            and len(entry.shape) <= MAX_DIMENSIONS
            and entry.offset % FIXED_SIZE[entry.dtype].alignment == 0
        )

    def array(self, name: str) -> NDArray[Any] | None:
        """A read-only array over the bytes of a tensor, which are not checked; None if it can't be mapped.

        Raises:
            CheckpointDamagedError: the tensor's data file is missing or too short.
            ObjectChangedError: it was replaced since the checkpoint was opened.
            ObjectNotFoundError: it was deleted since.
            StorageError: it can't be mapped.
        """
        if not self.can_map(name):
            return None
        entry = self._checkpoint.index.entries[name]
        return np.ndarray(entry.shape, FIXED_SIZE[entry.dtype], self._file(entry.shard_id), entry.offset)

    def _file(self, shard_id: int) -> mmap.mmap:
        with self._lock:
            if shard_id not in self._files:
                self._files[shard_id] = _map(self._checkpoint.prefix, self._checkpoint.data_file(shard_id))
            return self._files[shard_id]


def require_local_files(prefix: Location) -> None:
    """Refuse a store whose objects are no files that could be mapped.

    Raises:
        UnsupportedOperationError: they are none.
    """
    if not prefix.store.capabilities.local_files:
        raise UnsupportedOperationError(
            f"{prefix.url!r} can't be mapped into memory, since it is not on a disk of this machine: open it without "
            "mmap=True, or copy its files to a local folder",
            path=prefix.url,
        )


def _map(prefix: Location, info: ObjectInfo) -> mmap.mmap:
    """Map one file, and see that it is the version that was listed."""
    path = prefix.store.url(info.key)
    with while_reading(path), open(path, "rb", buffering=0) as file:
        # No version comes back: if the path still leads to this one, it did so when it was opened just now.
        if prefix.store.stat(info.key).version != info.version:
            raise ObjectChangedError(f"{path} was replaced since the checkpoint was opened", path=path)
        return mmap.mmap(file.fileno(), info.size, access=mmap.ACCESS_READ)
