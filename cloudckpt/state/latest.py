"""`latest_checkpoint`: the newest whole checkpoint that the state file names, as TensorFlow's users know it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint.opened import OpenCheckpoint
from cloudckpt.checkpoint.reader import open_checkpoint, read_consistently
from cloudckpt.checkpoint.v1_files import find_files
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CheckpointPathError,
    ObjectChangedError,
    ObjectNotFoundError,
    RecoveryWarning,
    ShortReadError,
)
from cloudckpt.state.directory import read_state
from cloudckpt.state.state_file import STATE_FILENAME, CheckpointState, last_component
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cloudckpt.storage.open import Location

__all__ = ["has_checkpoint", "latest_checkpoint", "latest_in"]


def latest_checkpoint(
    checkpoint_dir: str | os.PathLike[str],
    latest_filename: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> str | None:
    """The prefix of the newest whole checkpoint that a directory's state file names, or None.

    A checkpoint is whole if its index can be read and all data files are there, of the sizes that the index needs; in
    version 1 of the format, which knows patterns of files ("model-?????-of-00003"), if all files are. One that is not,
    as while another tool copies the directory, is passed over for the one that the state file names before it.

    Unlike TensorFlow's, which believes the state file: it looks, raises where a state file can't be read or nothing
    that it names is whole, and never leaves the directory: a path that does is taken by its last component.
    `CheckpointManager.restore_latest` also finds checkpoints that the state does not name.

    Args:
        checkpoint_dir: the directory: a local path, or any URL that fsspec reads.
        latest_filename: the state file's name; "checkpoint" by default.
        storage_options: options of the store, as fsspec takes them.

    Returns:
        The checkpoint's prefix inside the directory, fit for `load`; None without a state file, or where it names
        nothing, or, with a `RecoveryWarning`, nothing of which anything is there.

    Raises:
        CheckpointDamagedError: of what the state file names something is there, and nothing whole: a job that took
            None for an answer would start from scratch.
        CheckpointVersionError: a newer program wrote the newest.
        StateFileError: the state file is there and can't be read.
        StorageError: the store failed, or the bucket itself does not exist.

    Warns:
        RecoveryWarning: for each checkpoint that is passed over.

    Cost: a GET of the state, a GET of the index and a LIST; a few more for each that is passed over, where the path in
    the state file holds folders, and for a V1 checkpoint; a GET and a LIST without a state file.
    """
    with open_location(checkpoint_dir, storage_options) as directory:
        prefix = _newest_whole(directory, latest_filename or STATE_FILENAME)
        return None if prefix is None else prefix.url


def latest_in(directory: Location) -> Location | None:
    """The latest checkpoint that a directory's state file names, whole or not, for whoever looks what is there of it.

    Raises: what `latest_checkpoint` raises of the state file and the store.

    Cost: a GET and a HEAD; a few more where the path in the state file holds folders, or is a V1 checkpoint's.
    """
    latest = _read_state(directory, STATE_FILENAME).latest
    return next(filter(has_checkpoint, _places(directory, latest)), None) if latest else None


def has_checkpoint(prefix: Location) -> bool:
    """Whether there is an index of that prefix; or, in the V1 format, a file of that name, or files of that pattern.

    Source: python/checkpoint/checkpoint_management.py, checkpoint_exists_internal. One request, or up to three.
    """
    try:
        prefix.store.stat(index_filename(prefix.key))
    except ObjectNotFoundError:
        return bool(find_files(prefix))
    return True


def _newest_whole(directory: Location, filename: str) -> Location | None:
    state, damage = _read_state(directory, filename), None
    for path in dict.fromkeys((state.latest, *reversed(state.paths))) if state.latest else ():
        try:
            return _whole_place(directory, path)
        except CheckpointDamagedError as error:
            damage, reason = damage or error, str(error)
        except CheckpointNotFoundError:
            reason = "it is not there"
        _warn(f"{path!r}, which the state file in {directory.url!r} names, is passed over: {reason}")
    if damage is not None:
        raise damage
    return None


def _read_state(directory: Location, filename: str) -> CheckpointState:
    read = read_state(directory, filename)
    if read.error is not None:
        raise read.error
    if read.info is None:
        _require_bucket(directory)
    return read.state


def _whole_place(directory: Location, path: str) -> Location:
    """Where in the directory a path of its state file leads to a whole checkpoint.

    Raises:
        CheckpointDamagedError: there is one, and it is not whole.
        CheckpointNotFoundError: there is none.
    """
    for prefix in _places(directory, path):
        try:
            _require_whole(prefix)
        except (CheckpointNotFoundError, CheckpointPathError):
            continue
        return prefix
    raise CheckpointNotFoundError(f"{directory.url!r} holds no checkpoint {path!r}", path=directory.url)


def _require_whole(prefix: Location) -> None:
    try:
        open_checkpoint(prefix).check_whole()
    except (CheckpointDamagedError, ObjectChangedError, ShortReadError):
        read_consistently(prefix, OpenCheckpoint.check_whole)  # or was it replaced between two looks?


def _require_bucket(directory: Location) -> None:
    """Raise where the bucket itself is missing: a GET tells that no better than a missing file, a listing does."""
    next(directory.store.list(directory.child(STATE_FILENAME).key), None)


def _places(directory: Location, path: str) -> list[Location]:
    """Where in the directory a path of its state file may lead: as it stands if it stays inside, else by its end."""
    stays = not path.startswith("/") and ".." not in path.split("/") and "://" not in path
    names = [path, last_component(path)] if stays else [last_component(path)]
    return [directory.child(name) for name in dict.fromkeys(names)]


def _warn(message: str) -> None:
    # Up through this module to whoever called `latest_checkpoint`.
    warnings.warn(message, RecoveryWarning, stacklevel=4)
