"""What stands at a prefix when a save begins, and what follows from it for the save."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.names import choose_names, needed_data_files
from cloudckpt.checkpoint.prefix import PrefixFiles, check_prefix, list_prefix
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointVersionError,
    CommitConflictError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, WriteCondition

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from cloudckpt.checkpoint.names import ShardNames
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["Standing", "conflict", "look", "overwrite_condition"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """A prefix as a save found it (W1 of docs/design/commit.md)."""

    prefix: Location
    condition: WriteCondition
    """on which the index is to be written: that it is still what was found"""
    replaced: tuple[str, ...]
    """the data files of the checkpoint that was found, which go when it is replaced"""
    taken: frozenset[str]
    """keys that no data file of the save may have"""

    def choose_names(self, count: int, *, reuse_names: bool = True) -> ShardNames:
        """Names for `count` data files, which may be written by any number of processes.

        Args:
            count: how many.
            reuse_names: whether TensorFlow's own names are right where nothing is there.
        """
        fresh = reuse_names and not self.taken and isinstance(self.condition, IfAbsent)
        return choose_names(self.prefix.key, count, taken=self.taken, fresh=fresh)


def look(prefix: Location, *, unsafe_overwrite: bool = False, replaceable: Container[str] | None = None) -> Standing:
    """Look at a prefix before a save. A LIST, and a GET of the index if there is one.

    Args:
        prefix: the checkpoint's.
        unsafe_overwrite: replace a checkpoint also on a store that can't do it conditionally.
        replaceable: versions of the index; if another one is there, it is another writer's. None to replace any.

    Raises:
        CheckpointPathError: the path can't be a prefix.
        CommitConflictError: another writer saved there.
        UnsupportedOperationError: there is a checkpoint, and the store can't replace it safely.
    """
    check_prefix(prefix)
    found = list_prefix(prefix)
    if found.index is not None and replaceable is not None and found.index.version not in replaceable:
        raise conflict(prefix)
    condition = overwrite_condition(prefix, found.index, unsafe_overwrite=unsafe_overwrite)
    replaced = tuple(_named_by_index(prefix, found))
    return Standing(prefix, condition, replaced, frozenset({*found.data, *replaced}))


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


def _named_by_index(prefix: Location, found: PrefixFiles) -> Sequence[str]:
    """The data files of the checkpoint that is about to be replaced; none if its index can't be read."""
    if found.index is None:
        return ()
    try:
        data, info = prefix.store.get(found.index.key)
    except ObjectNotFoundError as error:
        raise conflict(prefix) from error
    if info.version != found.index.version:
        raise conflict(prefix)
    try:
        return list(needed_data_files(prefix.key, decode_index(data, prefix.store.url(info.key))))
    except (CheckpointDamagedError, CheckpointVersionError) as error:
        logger.warning("the index that is replaced can't be read, so its data files stay behind: %s", error)
        return ()


def conflict(prefix: Location) -> CommitConflictError:
    """The error of a save that another writer has overtaken."""
    return CommitConflictError(
        f"another writer saved {prefix.url!r} while this save was under way; its checkpoint is whole and this one was "
        "dropped. See to it that one job writes here, restore what is there, and save again",
        path=prefix.url,
    )
