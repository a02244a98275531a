"""The one write that makes data files the checkpoint of their prefix."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.conflict import conflict
from cloudckpt.checkpoint.delete import delete_written, discard
from cloudckpt.checksums import crc32c
from cloudckpt.errors import (
    CommitUnknownError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
)
from cloudckpt.storage.deadline import grace, require_time
from cloudckpt.storage.store import IfAbsent, IfVersion, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.checkpoint.standing import Standing

__all__ = ["SavedCheckpoint", "commit_index"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """What a save committed."""

    prefix: str
    """its URL or path, as a person would write it"""
    index: ObjectInfo
    data_files: tuple[str, ...]
    """the keys of its data files"""


def commit_index(standing: Standing, index: bytes, written: Sequence[ObjectInfo]) -> SavedCheckpoint:
    """Write the index, then delete the data files of the checkpoint that it replaces (W3 and W4).

    Args:
        standing: what was found there before the save.
        index: the bytes of the `.index`.
        written: the data files that it names, which are there; what certainly fails takes them along.

    Raises:
        CommitConflictError: another writer committed meanwhile; its checkpoint is whole.
        CommitTimeoutError: the save has taken too long; its data files are deleted.
        CommitUnknownError: the answer was lost, and reading back did not prove who won.
        StorageError: the store failed.
    """
    committed = _put(standing, index, written)
    if standing.clock.is_too_late(committed.modified):
        _withdraw(standing, committed, written)
        raise standing.clock.error(standing.prefix)
    _delete_replaced(standing)
    return SavedCheckpoint(standing.prefix.url, committed, tuple([info.key for info in written]))


def _put(standing: Standing, index: bytes, written: Sequence[ObjectInfo]) -> ObjectInfo:
    prefix, commit_id = standing.prefix, uuid.uuid4().hex
    key = index_filename(prefix.key)
    try:
        standing.clock.check(prefix)
        require_time(prefix.url)  # once it is sent, nobody knows what becomes of it
    except BaseException:
        discard(prefix, written)
        raise
    try:
        return prefix.store.put(key, index, standing.condition, crc32c=crc32c(index), commit_id=commit_id)
    except PreconditionFailedError as error:
        discard(prefix, written)
        raise conflict(prefix) from error
    except TransientStorageError:
        raise  # the write may still arrive, so its data must stay
    except StorageError:
        if _is_unchanged(standing):
            discard(prefix, written)
        raise


@grace()
def _withdraw(standing: Standing, committed: ObjectInfo, written: Sequence[ObjectInfo]) -> None:
    """Put back what the index has replaced: its data may be gone, and that of the old one is still there."""
    store, key = standing.prefix.store, committed.key
    try:
        if standing.index is not None:
            store.put(key, standing.index, standing.again(committed), crc32c=crc32c(standing.index))
        else:
            delete_written(store, committed)
    except PreconditionFailedError:
        pass  # another writer has replaced it already
    except (StorageError, CommitUnknownError):
        # What of its data is there stays: it may still be the checkpoint.
        logger.exception("%s was written too late, and could not be withdrawn: load or delete it", store.url(key))
        return
    discard(standing.prefix, written)


def _is_unchanged(standing: Standing) -> bool:
    """Whether the index is certainly still what was found: a disk may fail after the new one is in place."""
    prefix, condition = standing.prefix, standing.condition
    try:
        found = prefix.store.stat(index_filename(prefix.key))
    except ObjectNotFoundError:
        return isinstance(condition, IfAbsent)
    except StorageError:
        return False
    return isinstance(condition, IfVersion) and found.version == condition.version


def _delete_replaced(standing: Standing) -> None:
    if not standing.replaced:
        return
    try:
        standing.prefix.store.delete(standing.replaced)
    except StorageError as error:
        # The save itself is committed and must not look failed; no index names these files any more.
        logger.warning(
            "%s is committed; data files of the checkpoint it replaced stay behind: %s", standing.prefix.url, error
        )
