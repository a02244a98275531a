"""`latest_checkpoint`: the newest whole checkpoint that the state file names, as TensorFlow's users know it."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.checkpoint.opened import OpenCheckpoint
from cloudckpt.checkpoint.reader import open_checkpoint, read_consistently
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CheckpointPathError,
    ObjectChangedError,
    RecoveryWarning,
    ShortReadError,
)
from cloudckpt.state.directory import read_readable_state
from cloudckpt.state.mtimes import find_checkpoint
from cloudckpt.state.state_file import STATE_FILENAME, CheckpointState, last_component
from cloudckpt.state.state_paths import is_absolute
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.storage.open import Location

__all__ = ["has_checkpoint", "latest_checkpoint", "latest_in", "whole_latest"]


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
        The checkpoint's prefix inside the directory, fit for `load`: relative if the directory was given so and the
        state file says no other, else absolute. None without a state file, or where it names nothing, or, with a
        `RecoveryWarning`, nothing of which anything is there.

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
    given = os.fspath(checkpoint_dir)
    with open_location(given or os.curdir, storage_options) as directory:
        state = read_readable_state(directory, latest_filename or STATE_FILENAME).state
        named = _newest_whole(directory, state)
        return None if named is None else _spelled(given, named)


def whole_latest(directory: Location, given: str, *, known: str | None = None) -> str | None:
    """The prefix of the latest checkpoint that a directory's state file names, if it is whole; it takes no older one.

    Args:
        directory: the directory.
        given: the same, as the user wrote it.
        known: what this has returned before: if the state still names it, nothing further is looked at.

    Returns:
        The prefix, as `latest_checkpoint` gives it; None without a state file, or where it names no latest checkpoint.

    Raises:
        CheckpointNotFoundError: the latest is not there.
        CheckpointDamagedError: it is there, and not whole.
        CloudckptError: and what `latest_checkpoint` raises.
    """
    latest = read_readable_state(directory).state.latest
    if not latest:
        return None
    first = _Named.of(directory, latest, _names(latest)[0])
    return known if known == _spelled(given, first) else _spelled(given, _whole_place(directory, latest))


def latest_in(directory: Location) -> Location | None:
    """The latest checkpoint that a directory's state file names, whole or not, for whoever looks what is there of it.

    Raises: what `latest_checkpoint` raises of the state file and the store.

    Cost: a GET and a HEAD; a few more where the path in the state file holds folders, or is a V1 checkpoint's.
    """
    latest = read_readable_state(directory).state.latest
    places = map(directory.child, _names(latest)) if latest else ()
    return next(filter(has_checkpoint, places), None)


def has_checkpoint(prefix: Location) -> bool:
    """Whether there is an index of that prefix; or, in the V1 format, a file of that name, or files of that pattern.

    Source: python/checkpoint/checkpoint_management.py, checkpoint_exists_internal. One request, or up to three.
    """
    return find_checkpoint(prefix) is not None


def _newest_whole(directory: Location, state: CheckpointState) -> _Named | None:
    damage = None
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


class _Named(NamedTuple):
    """A checkpoint that a state file names."""

    path: str
    """as it stands there"""
    name: str
    """where it is in the directory"""
    prefix: Location

    @classmethod
    def of(cls, directory: Location, path: str, name: str) -> _Named:
        return cls(path, name, directory.child(name))


def _whole_place(directory: Location, path: str) -> _Named:
    """Where in the directory a path of its state file leads to a whole checkpoint.

    Raises:
        CheckpointDamagedError: there is one, and it is not whole.
        CheckpointNotFoundError: there is none.
    """
    for name in _names(path):
        named = _Named.of(directory, path, name)
        try:
            _require_whole(named.prefix)
        except (CheckpointNotFoundError, CheckpointPathError):
            continue
        return named
    raise CheckpointNotFoundError(f"{directory.url!r} holds no checkpoint {path!r}", path=directory.url)


def _spelled(given: str, named: _Named) -> str:
    """The prefix, absolute if the directory was given so, or if it stands so in the state; else relative like that."""
    is_relative = not is_absolute(given) and not given.startswith("~")
    return os.path.join(given, named.name) if is_relative and not is_absolute(named.path) else named.prefix.url


def _require_whole(prefix: Location) -> None:
    try:
        open_checkpoint(prefix).check_whole()
    except (CheckpointDamagedError, ObjectChangedError, ShortReadError):
        read_consistently(prefix, OpenCheckpoint.check_whole)  # or was it replaced between two looks?


def _names(path: str) -> list[str]:
    """Where in the directory a path of its state file may lead: as it stands if it stays inside, else by its end."""
    stays = not is_absolute(path) and ".." not in path.split("/")
    # A backslash divides folders where Windows wrote the state, and is a character of a name elsewhere.
    return list(dict.fromkeys([path if stays else os.path.basename(path), last_component(path)]))


def _warn(message: str) -> None:
    # Up through this module to whoever called `latest_checkpoint`.
    warnings.warn(message, RecoveryWarning, stacklevel=4)
