"""When checkpoints were written: `get_checkpoint_mtimes`.

Source: python/checkpoint/checkpoint_management.py, get_checkpoint_mtimes and checkpoint_exists_internal.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.v1_files import find_files
from cloudckpt.errors import ObjectNotFoundError
from cloudckpt.state.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["find_checkpoint", "find_with_mtime", "get_checkpoint_mtimes"]


def get_checkpoint_mtimes(
    checkpoint_prefixes: Iterable[str | os.PathLike[str]], *, storage_options: Mapping[str, Any] | None = None
) -> list[float]:
    """When checkpoints were written, seconds since the epoch: those of them that are there, in their order.

    The time of a checkpoint is that of its `.index`; in version 1 of the format that of its file, or of the first one
    that matches the pattern "ckpt-?????-of-00003". On a local disk it is the file's mtime, as in TensorFlow; elsewhere
    the store's own time, which nobody can set; 0.0 where a filesystem knows none.

    Args:
        checkpoint_prefixes: prefixes of checkpoints, or V1 files or patterns, on any stores.
        storage_options: options of the stores, as fsspec takes them.

    Returns:
        Fewer times than prefixes, where a checkpoint is not there.

    Raises:
        CheckpointPathError: a path names no place.
        StorageError: the store failed.

    Cost: a HEAD each; one or two requests more where there is no index.
    """
    with Places(storage_options) as places:
        found = [find_with_mtime(places.at(os.fspath(prefix))) for prefix in checkpoint_prefixes]
    return [info.modified for info in found if info is not None]


def find_with_mtime(prefix: Location) -> ObjectInfo | None:
    """As `find_checkpoint`; the time of a local file is its mtime, even if it came to its place later."""
    found = find_checkpoint(prefix)
    if found is None or not prefix.store.capabilities.local_files:
        return found
    try:
        return replace(found, modified=os.stat(prefix.store.url(found.key)).st_mtime_ns / 1e9)
    except FileNotFoundError:
        return None


def find_checkpoint(prefix: Location) -> ObjectInfo | None:
    """The file that makes a checkpoint of a prefix: its index; or, in version 1, its file or the first of its pattern.

    One request, or up to three. None if there is none.
    """
    try:
        return prefix.store.stat(index_filename(prefix.key))
    except ObjectNotFoundError:
        return next(iter(find_files(prefix)), None)
