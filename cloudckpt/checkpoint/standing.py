"""What stands at a prefix when a save begins, and what follows from it for the save."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.bundle.index import decode_index
from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.conflict import conflict
from cloudckpt.checkpoint.names import choose_names, needed_data_files
from cloudckpt.checkpoint.prefix import PrefixFiles, check_prefix, list_prefix
from cloudckpt.checkpoint.save_time import SaveClock
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointVersionError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, WriteCondition

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from cloudckpt.checkpoint.names import ShardNames
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["Standing", "look", "overwrite_condition"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """A prefix as a save found it (W1 of docs/design/commit.md)."""

    prefix: Location
    condition: WriteCondition
    """on which the index is to be written: that it is still what was found"""
    replaced: tuple[str, ...]
    """the data files of the checkpoint that was found, which go when it is replaced"""
    index: bytes | None
    """that checkpoint's index; None where there was none"""
    taken: frozenset[str]
    """keys that no data file of the save may have"""
    clock: SaveClock
    """when the save began"""

    def again(self, written: ObjectInfo) -> WriteCondition:
        """On which the index that was just written is to be replaced."""
        return self.condition if isinstance(self.condition, Always) else IfVersion(written.version)

    def choose_names(self, count: int, *, reuse_names: bool = True) -> ShardNames:
        """Names for `count` data files, which may be written by any number of processes.

        Args:
            count: how many.
            reuse_names: whether TensorFlow's own names are right where nothing is there.
        """
        fresh = reuse_names and not self.taken and isinstance(self.condition, IfAbsent)
        return choose_names(self.prefix.key, count, taken=self.taken, fresh=fresh)


def look(
    prefix: Location,
    *,
    unsafe_overwrite: bool = False,
    replaceable: Container[str] | None = None,
    max_save_time: float | None = None,
) -> Standing:
    """Look at a prefix before a save. A LIST, and a GET of the index if there is one.

    Args:
        prefix: the checkpoint's.
        unsafe_overwrite: replace a checkpoint also on a store that can't do it conditionally.
        replaceable: versions of the index; if another one is there, it is another writer's. None to replace any.
        max_save_time: seconds from now until the commit at most; `MAX_SAVE_TIME` unless the directory's state file,
            which collectors read, says more.

    Raises:
        CheckpointPathError: the path can't be a prefix.
        CommitConflictError: another writer saved there.
        UnsupportedOperationError: there is a checkpoint, and the store can't replace it safely.
    """
    check_prefix(prefix)
    found = list_prefix(prefix)
    clock = SaveClock.start(prefix, max_save_time)
    if found.index is not None and replaceable is not None and found.index.version not in replaceable:
        raise conflict(prefix)
    condition = overwrite_condition(prefix, found.index, unsafe_overwrite=unsafe_overwrite)
    index = _read_index(prefix, found)
    replaced = () if index is None else tuple(_named_by(prefix, index))
    return Standing(prefix, condition, replaced, index, frozenset({*found.data, *replaced}), clock)


def overwrite_condition(prefix: Location, found: ObjectInfo | None, *, unsafe_overwrite: bool) -> WriteCondition:
    """On which the file that makes a checkpoint is to be written: that there is still only what was found, if anything.

    Raises:
        UnsupportedOperationError: something was found, and the store can't replace it safely.
    """
    if found is None:
        return IfAbsent()
    if prefix.store.capabilities.replace_if_version:
        return IfVersion(found.version)
    if unsafe_overwrite:
        return Always()
    raise UnsupportedOperationError(
        f"{prefix.url!r} holds a checkpoint, and this store can't replace it only if nobody else did: save under a new "
        "name, or pass unsafe_overwrite=True, which cloudckpt.save and cloudckpt.raw_ops take, if no other process "
        "writes here",
        path=prefix.url,
    )


def _read_index(prefix: Location, found: PrefixFiles) -> bytes | None:
    """The index of the checkpoint that is about to be replaced."""
    if found.index is None:
        return None
    try:
        data, info = prefix.store.get(found.index.key)
    except ObjectNotFoundError as error:
        raise conflict(prefix) from error
    if info.version != found.index.version:
        raise conflict(prefix)
    return data


def _named_by(prefix: Location, index: bytes) -> Sequence[str]:
    """The data files that an index names; none if it can't be read."""
    try:
        return list(needed_data_files(prefix.key, decode_index(index, prefix.store.url(index_filename(prefix.key)))))
    except (CheckpointDamagedError, CheckpointVersionError) as error:
        logger.warning("the index that is replaced can't be read, so its data files stay behind: %s", error)
        return ()
