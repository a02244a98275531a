"""Saving one checkpoint: data first, then the one write that makes it the checkpoint of its prefix.

The order of writes, and what holds after each (a crash may come between any two):

1. LIST the prefix: names and versions of what is there.
2. Data files are written under names that no file of the prefix has. The old checkpoint, if any, is untouched.
3. The `.index` is written, on the condition that it is still what 1 saw. Before it the prefix holds the old
   checkpoint, after it the new one, and never anything between.
4. The data files that the old index named are deleted, by their names, never by a pattern.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.bundle.entry import BundleHeader
from cloudckpt.bundle.index import decode_index, encode_index
from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.delete import discard
from cloudckpt.checkpoint.names import ShardNames, choose_names, needed_data_files, tensor_key
from cloudckpt.checkpoint.plan import ShardPlan, plan_shards
from cloudckpt.checkpoint.prefix import check_prefix, list_prefix
from cloudckpt.checkpoint.sources import TensorSource, numeric_source
from cloudckpt.checkpoint.string_source import string_source
from cloudckpt.checkpoint.write import ShardWriter, write_shards
from cloudckpt.checksums import crc32c
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointVersionError,
    CommitConflictError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    StructureError,
    TransientStorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, WriteCondition

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["SavedCheckpoint", "save_tensors"]

logger = logging.getLogger(__name__)

ALIGNMENT = 64
"""Where large tensors begin in a data file (bytes), so that a reader may map them; TensorFlow reads such files."""
SHARD_BYTES = 64 << 20
"""A store that takes one file's bytes only in order gets one data file for each so many bytes, up to `THREADS`."""
THREADS = 4
"""Transfers in flight."""


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """What a save committed."""

    prefix: str
    """its URL or path, as a person would write it"""
    index: ObjectInfo
    data_files: tuple[str, ...]
    """the keys of its data files"""


def save_tensors(
    prefix: Location,
    tensors: Mapping[str, NDArray[np.generic]],
    *,
    alignment: int = ALIGNMENT,
    reuse_names: bool = True,
    unsafe_overwrite: bool = False,
    replaceable: Container[str] | None = None,
    before_commit: Callable[[], None] = lambda: None,
) -> SavedCheckpoint:
    """Write tensors as the checkpoint of a prefix: afterwards it is whole there, or nothing there has changed.

    Args:
        prefix: where; an existing checkpoint is replaced in one atomic step.
        tensors: arrays by name. They must not change before this returns. C-contiguous ones are not copied.
        alignment: bytes; 1 lays the data file out exactly as TensorFlow does.
        reuse_names: False takes random names for the data files also where the prefix is empty, because a checkpoint
            of that name was deleted before and a late DELETE of it may still be under way.
        unsafe_overwrite: replace an existing checkpoint also on a store that can't do it conditionally.
        replaceable: versions of the index; if another one is there, it is another writer's. None to replace any.
        before_commit: called when all data is written, before the index is; if it raises, the data is deleted again.

    Raises:
        CheckpointPathError: the path can't be a prefix.
        TypeError: an array is of no type that TensorFlow has.
        StructureError: no checkpoint can hold a tensor of that name, or a string is not valid UTF-8.
        CommitConflictError: another writer committed or took the same names meanwhile; its checkpoint is whole.
        CommitUnknownError: the answer to the commit was lost, and reading back did not prove who won.
        StorageError: the store failed; the prefix is as it was.

    Cost: one LIST, the data files (one request each if small, else two more than they have parts), one PUT of the
    index. Replacing adds a GET of the old index and one batch of deletes. Memory beyond the arrays: `THREADS` parts
    at most, and the index.
    """
    check_prefix(prefix)
    sources = {name: _source(name, array) for name, array in tensors.items()}
    before = list_prefix(prefix)
    if before.index is not None and replaceable is not None and before.index.version not in replaceable:
        raise _conflict(prefix)
    condition = _index_condition(prefix, before, unsafe_overwrite=unsafe_overwrite)
    replaced = _named_by_old_index(prefix, before)
    plans = plan_shards(sources, alignment=alignment, shards=_shard_count(prefix, sources))
    taken = {*before.data, *replaced}
    names = choose_names(prefix.key, len(plans), taken=taken, fresh=reuse_names and not before.in_use)
    written, entries = _write_data(prefix, plans, names)
    try:
        before_commit()
    except BaseException:
        discard(prefix, written)
        raise
    index = _commit_index(prefix, encode_index(BundleHeader(num_shards=names.num_shards), entries), condition, written)
    _delete_replaced(prefix, replaced)
    return SavedCheckpoint(prefix.url, index, names.keys)


def _source(name: str, array: NDArray[np.generic]) -> TensorSource:
    try:
        tensor_key(name)
        return string_source(array) if array.dtype.kind in "OSU" else numeric_source(array)
    except TypeError as error:
        raise TypeError(f"tensor {name!r} can't be saved: {error}") from error
    except UnicodeEncodeError as error:
        raise StructureError(
            f"tensor {name!r} can't be saved: a string in it is no valid text ({error})", tensor=name
        ) from error


def _shard_count(prefix: Location, sources: Mapping[str, TensorSource]) -> int:
    if prefix.store.capabilities.parallel_upload:
        return 1
    total = sum(source.size for source in sources.values())
    return min(THREADS, max(1, total // SHARD_BYTES))


def _index_condition(prefix: Location, before: PrefixFiles, *, unsafe_overwrite: bool) -> WriteCondition:
    if before.index is None:
        return IfAbsent()
    if prefix.store.capabilities.replace_if_version:
        return IfVersion(before.index.version)
    if unsafe_overwrite:
        return Always()
    raise UnsupportedOperationError(
        f"{prefix.url!r} holds a checkpoint, and this store can't replace it only if nobody else did: save under a new "
        "name, or give cloudckpt.save unsafe_overwrite=True if no other process writes here",
        path=prefix.url,
    )


def _named_by_old_index(prefix: Location, before: PrefixFiles) -> Sequence[str]:
    """The data files of the checkpoint that is about to be replaced; none if its index can't be read."""
    if before.index is None:
        return ()
    try:
        data, info = prefix.store.get(before.index.key)
    except ObjectNotFoundError as error:
        raise _conflict(prefix) from error
    if info.version != before.index.version:
        raise _conflict(prefix)
    try:
        return list(needed_data_files(prefix.key, decode_index(data, prefix.store.url(info.key))))
    except (CheckpointDamagedError, CheckpointVersionError) as error:
        logger.warning("the index that is replaced can't be read, so its data files stay behind: %s", error)
        return ()


def _write_data(
    prefix: Location, plans: Sequence[ShardPlan], names: ShardNames
) -> tuple[list[ObjectInfo], dict[str, BundleEntry]]:
    """Write and complete the data files. On any failure those that this save completed are gone again."""
    store, completed, commit_id = prefix.store, list["ObjectInfo"](), uuid.uuid4().hex
    try:
        with ExitStack() as uploads:
            writers = [
                ShardWriter(plan, uploads.enter_context(store.create(key, plan.size, IfAbsent(), commit_id=commit_id)))
                for plan, key in zip(plans, names.keys, strict=True)
            ]
            write_shards(writers, threads=THREADS, parallel_parts=store.capabilities.parallel_upload)
            for writer in writers:
                completed.append(writer.complete())
    except PreconditionFailedError as error:
        discard(prefix, completed)
        raise _conflict(prefix) from error
    except BaseException:
        discard(prefix, completed)
        raise
    entries = (writer.entries(names.first + shard) for shard, writer in enumerate(writers))
    return completed, {name: entry for of_shard in entries for name, entry in of_shard.items()}


def _commit_index(
    prefix: Location, index: bytes, condition: WriteCondition, written: Sequence[ObjectInfo]
) -> ObjectInfo:
    """Write the index: the moment at which the save counts. What certainly failed takes its data files along."""
    key, commit_id = index_filename(prefix.key), uuid.uuid4().hex
    try:
        return prefix.store.put(key, index, condition, crc32c=crc32c(index), commit_id=commit_id)
    except PreconditionFailedError as error:
        discard(prefix, written)
        raise _conflict(prefix) from error
    except TransientStorageError:
        raise  # the write may still arrive, so its data must stay
    except StorageError:
        if _is_unchanged(prefix, condition):
            discard(prefix, written)
        raise


def _is_unchanged(prefix: Location, condition: WriteCondition) -> bool:
    """Whether the index is certainly still what the condition says: a disk may fail after the new one is in place."""
    try:
        found = prefix.store.stat(index_filename(prefix.key))
    except ObjectNotFoundError:
        return isinstance(condition, IfAbsent)
    except StorageError:
        return False
    return isinstance(condition, IfVersion) and found.version == condition.version


def _delete_replaced(prefix: Location, data_files: Sequence[str]) -> None:
    if not data_files:
        return
    try:
        prefix.store.delete(data_files)
    except StorageError as error:
        # The save itself is committed and must not look failed; no index names these files any more.
        logger.warning("%s is committed; data files of the checkpoint it replaced stay behind: %s", prefix.url, error)


def _conflict(prefix: Location) -> CommitConflictError:
    return CommitConflictError(
        f"another writer saved {prefix.url!r} while this save was under way; its checkpoint is whole and this one was "
        "dropped. See to it that one job writes here, restore what is there, and save again",
        path=prefix.url,
    )
