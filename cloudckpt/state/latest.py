"""`latest_checkpoint`: what the state file names, as TensorFlow's users know it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.v1_files import find_files
from cloudckpt.errors import ObjectNotFoundError
from cloudckpt.state.directory import read_state
from cloudckpt.state.state_file import STATE_FILENAME, last_component
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cloudckpt.storage.open import Location

__all__ = ["has_checkpoint", "latest_checkpoint", "latest_in"]

logger = logging.getLogger(__name__)


def latest_checkpoint(
    checkpoint_dir: str | os.PathLike[str],
    latest_filename: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> str | None:
    """The prefix of the newest checkpoint that a directory's state file names, or None.

    It believes the state file, as TensorFlow does, and looks only whether that checkpoint has an index, or is a file
    of version 1 of the format, or a pattern of such files ("model-?????-of-00003");
    `CheckpointManager.restore_latest` also finds checkpoints that the state does not name. Unlike TensorFlow's, it
    raises where a state file can't be read, and never looks outside the directory: a path that leaves it is taken by
    its last component.

    Args:
        checkpoint_dir: the directory: a local path, or any URL that fsspec reads.
        latest_filename: the state file's name; "checkpoint" by default.
        storage_options: options of the store, as fsspec takes them.

    Returns:
        The checkpoint's prefix inside the directory, fit for `load`; None without a state file, or where it names
        nothing, or nothing that is there.

    Raises:
        StateFileError: the state file is there and can't be read.
        StorageError: the store failed, or the bucket itself does not exist.

    Cost: a GET and a HEAD; a few more where the path in the state file holds folders, or is a V1 checkpoint's; a GET
    and a LIST without a state file.
    """
    with open_location(checkpoint_dir, storage_options) as directory:
        prefix = latest_in(directory, latest_filename)
        return None if prefix is None else prefix.url


def latest_in(directory: Location, latest_filename: str | None = None) -> Location | None:
    """What `latest_checkpoint` does, at an open location."""
    read = read_state(directory, latest_filename or STATE_FILENAME)
    if read.error is not None:
        raise read.error
    if read.info is None:
        _require_bucket(directory)
    if not read.state.latest:
        return None
    for prefix in map(directory.child, _names_inside(read.state.latest)):
        if has_checkpoint(prefix):
            return prefix
    logger.warning("the state file in %s names %r, which is not there", directory.url, read.state.latest)
    return None


def has_checkpoint(prefix: Location) -> bool:
    """Whether there is an index of that prefix; or, in the V1 format, a file of that name, or files of that pattern.

    Source: python/checkpoint/checkpoint_management.py, checkpoint_exists_internal. One request, or up to three.
    """
    try:
        prefix.store.stat(index_filename(prefix.key))
    except ObjectNotFoundError:
        return bool(find_files(prefix))
    return True


def _require_bucket(directory: Location) -> None:
    """Raise where the bucket itself is missing: a GET tells that no better than a missing file, a listing does."""
    next(directory.store.list(directory.child(STATE_FILENAME).key), None)


def _names_inside(path: str) -> list[str]:
    """Where in the directory a path of its state file may point: as it stands if it stays inside, else its end."""
    stays = not path.startswith("/") and ".." not in path.split("/") and "://" not in path
    return list(dict.fromkeys([path, last_component(path)] if stays else [last_component(path)]))
