"""`MergeV2Checkpoints`: one checkpoint of the tensors and slices of several."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.merge import merge_checkpoints
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.ops.string_arguments import path_vector, scalar_path
from cloudckpt.storage.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MergeV2Checkpoints"]

logger = logging.getLogger(__name__)


def MergeV2Checkpoints(
    *,
    checkpoint_prefixes: Any,
    destination_prefix: Any,
    delete_old_dirs: bool = True,
    allow_missing_files: bool = False,
    name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    unsafe_overwrite: bool = False,
) -> None:
    """Make one checkpoint of several, each with some of the tensors, or with some slices of them; the old ones go.

    Until its index is written the destination holds what it held before, and the old checkpoints are whole; only then
    are they deleted, each one's index first.

    Args:
        checkpoint_prefixes: of the old ones, whatever the numbers of their data files; paths or URLs.
        destination_prefix: of the new one; a checkpoint that is there is replaced.
        delete_old_dirs: also remove their directories, where there are such (local disks) and nothing else is in them;
            the working directory stays.
        allow_missing_files: leave out old checkpoints that are not there, as long as one is.
        name: ignored, as TensorFlow does outside of graphs.
        storage_options: options of the store, as fsspec takes them, for all prefixes.
        unsafe_overwrite: replace an existing checkpoint also on a store that can't tell two writers apart.

    Raises:
        InvalidArgumentError: an old checkpoint is not there, or with `allow_missing_files` none is; two have the same
            tensor or slice, or slices of one tensor that differ in dtype or shape; the destination is one of them.
        TypeError: an argument is of the wrong type.
        CheckpointDamagedError: an old checkpoint is not whole.
        CheckpointPathError: a prefix is empty, or names a folder or one file of a checkpoint.
        CheckpointVersionError: a newer program wrote an old checkpoint.
        CommitConflictError: another writer saved to the destination meanwhile.
        CommitUnknownError: the answer to the commit was lost, and reading back did not prove who won; nothing was
            deleted.
        UnsupportedOperationError: the destination exists, and is not replaced without `unsafe_overwrite`.
        StorageError: the store failed; the destination and the old checkpoints are as they were.

    Cost: for each old checkpoint a GET, a LIST, and a copy of its data files, by the store itself where it can.
    """
    prefixes = path_vector(checkpoint_prefixes, "checkpoint_prefixes")
    destination = scalar_path(destination_prefix, "destination_prefix")
    delete_dirs, allow_missing = (
        _flag(delete_old_dirs, "delete_old_dirs"),
        _flag(allow_missing_files, "allow_missing_files"),
    )
    with ExitStack() as opened:
        target = opened.enter_context(open_prefix(destination, storage_options))
        sources = [
            _in_store_of(target, opened.enter_context(open_prefix(prefix, storage_options))) for prefix in prefixes
        ]
        merge_checkpoints(
            sources, target, delete_old=True, allow_missing=allow_missing, unsafe_overwrite=unsafe_overwrite
        )
        if delete_dirs:
            _remove_directories(sources, target)


def _in_store_of(target: Location, source: Location) -> Location:
    """A source in the destination's own store where both are in one that can copy.

    Such stores are opened by their URL's beginning, and here with the same options: what has the same URL in both is
    the same. What fsspec chains together may depend on the whole URL.
    """
    same = target.store.url(source.key) == source.url and target.store.capabilities.server_side_copy
    return Location(target.store, source.key) if same else source


def _remove_directories(sources: Sequence[Location], target: Location) -> None:
    kept = os.path.dirname(target.url)
    for folder in {os.path.dirname(source.url) for source in sources if source.store.capabilities.local_files} - {kept}:
        try:
            if not os.path.samefile(folder, os.curdir):  # a process in a folder that is gone can't name files any more
                os.rmdir(folder)
        except OSError as error:
            logger.info("%s stays: %s", folder, error)


def _flag(value: Any, argument: str) -> bool:
    """A bool and nothing that only counts as one: it decides whether files are deleted."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{argument} must be True or False, got {value!r}")
    return bool(value)
