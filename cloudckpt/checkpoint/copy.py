"""Data files copied from one checkpoint to another: by the store itself where it can, else through this process."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.checkpoint.data_files import completed_or_discarded, write_data_files
from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.checkpoint.plan import ShardPlan
from cloudckpt.storage.store import IfAbsent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo, Store

__all__ = ["FileCopy", "copy_files"]


@dataclass(frozen=True, slots=True)
class FileCopy:
    """One data file that is to be copied."""

    store: Store
    info: ObjectInfo
    """exactly this version of it"""
    key: str
    """what the copy is called"""


def copy_files(prefix: Location, copies: Sequence[FileCopy]) -> list[ObjectInfo]:
    """Copy data files to a prefix, several at a time, under names that nothing there has.

    Returns:
        The copies.

    Raises:
        CommitConflictError: another writer has taken one of the names.
        ObjectChangedError, ObjectNotFoundError: a source was replaced or deleted meanwhile.
        StorageError: a store failed. What was copied is gone again, whatever the error; a copy of which nobody knows
            whether it was made may be left, as garbage.

    Cost: by the store itself one request a file, more for large ones; else each byte is read once and written once.
    Memory: what `write_data_files` takes.
    """
    able = prefix.store if prefix.store.capabilities.server_side_copy else None
    by_store = [copy for copy in copies if copy.store is able]
    through_here = [copy for copy in copies if copy.store is not able]
    with completed_or_discarded(prefix) as completed:
        commit_id = uuid.uuid4().hex
        copying = (partial(_copy, copy, commit_id, completed) for copy in by_store)
        run_side_by_side(copying, threads=prefix.store.max_concurrency)
        plans = [ShardPlan([b""], [StoredFile(copy.store, copy.info)], [0]) for copy in through_here]
        write_data_files(prefix, plans, [copy.key for copy in through_here], completed)
    return completed


def _copy(copy: FileCopy, commit_id: str, completed: list[ObjectInfo]) -> None:
    completed.append(copy.store.copy(copy.info, copy.key, IfAbsent(), commit_id=commit_id))


class StoredFile:
    """A file that a store holds, as the source of one of the same bytes: read in pieces, each when it is wanted."""

    dtype = np.dtype(np.uint8)
    header_size = 0
    header_crc32c = 0

    def __init__(self, store: Store, info: ObjectInfo) -> None:
        self._store = store
        self._info = info
        self.nbytes = info.size
        self.shape = (info.size,)

    def read(self, start: int, stop: int) -> Sequence[memoryview]:
        """See `TensorSource.read`."""
        buffer = np.empty(min(stop, self.nbytes) - start, np.uint8).data
        self._store.read(self._info.key, start, [buffer], self._info.version)
        return (buffer,)
