"""TensorFlow's functions that read and write the state file.

Source: python/checkpoint/checkpoint_management.py.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError, StateFileError
from cloudckpt.state.directory import read_readable_state
from cloudckpt.state.places import SaveDirectory
from cloudckpt.state.state_file import STATE_FILENAME, CheckpointState, message_of
from cloudckpt.state.state_paths import joined, written_path
from cloudckpt.state.update import name_checkpoints
from cloudckpt.storage.open import open_location
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "generate_checkpoint_state_proto",
    "get_checkpoint_state",
    "state_naming",
    "update_checkpoint_state",
    "write_state",
]


def get_checkpoint_state(
    checkpoint_dir: str | os.PathLike[str],
    latest_filename: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """What a directory's state file says, as a `CheckpointState` message; None if there is none.

    Paths in it that are relative are joined to `checkpoint_dir`; what they lead to is not looked at. Unlike
    TensorFlow's, it raises where the file is there and can't be read, takes a URL in it for an absolute path, and
    passes over fields that it does not know.

    Args:
        checkpoint_dir: the directory: a local path, or any URL that fsspec reads; "" for the working directory.
        latest_filename: the state file's name; "checkpoint" by default.
        storage_options: options of the store, as fsspec takes them.

    Raises:
        StateFileError: the file is there and can't be read, or names no latest checkpoint. It is a ValueError, which
            TensorFlow's raises of the latter.
        StorageError: the store failed, or the bucket itself does not exist.

    Cost: a GET; and a LIST if there is none.
    """
    directory = os.fspath(checkpoint_dir)
    path = os.path.join(directory, latest_filename or STATE_FILENAME)
    with open_location(path, storage_options) as file:
        read = read_readable_state(SaveDirectory.of(path, file).location, os.path.basename(file.key))
        if read.info is None:
            return None
        if not read.state.latest:
            raise StateFileError(f"the state file {file.url!r} names no latest checkpoint", path=file.url)
    state = replace(
        read.state,
        latest=joined(directory, read.state.latest),
        paths=tuple(joined(directory, path) for path in read.state.paths),
    )
    return message_of(state)


def generate_checkpoint_state_proto(
    save_dir: str | os.PathLike[str],
    model_checkpoint_path: str | os.PathLike[str],
    all_model_checkpoint_paths: Sequence[str | os.PathLike[str]] | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> Any:
    """A `CheckpointState` message as a state file in `save_dir` should have it. No request.

    Where `save_dir` is a relative path, relative paths become relative to it; a URL below the URL `save_dir` does, too.
    All others stay as they are. The list that is given is not changed, as it is by TensorFlow's.

    Args:
        save_dir: the directory of the state file.
        model_checkpoint_path: the latest checkpoint's prefix.
        all_model_checkpoint_paths: the prefixes of all that are kept, oldest first; the latest is added to the end if
            it does not stand there.
        all_model_checkpoint_timestamps: when each was saved, seconds since the epoch; none, or one for each.
        last_preserved_timestamp: when the last one was saved that is kept for good, seconds since the epoch.

    Raises:
        InvalidArgumentError: a ValueError: there are times, and not as many as paths.
    """
    state = state_naming(
        os.fspath(save_dir),
        model_checkpoint_path,
        all_model_checkpoint_paths,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )
    return message_of(state)


def update_checkpoint_state(  # noqa: PLR0917 - TensorFlow's arguments
    save_dir: str | os.PathLike[str],
    model_checkpoint_path: str | os.PathLike[str],
    all_model_checkpoint_paths: Sequence[str | os.PathLike[str]] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Write a directory's state file, in one step, whatever it said before.

    The file is read first and swapped on the condition that it is unchanged; where another writer was faster, that is
    done again, a few times. So what a manager notes in its comment line is not lost.

    Args:
        save_dir: the directory.
        model_checkpoint_path: as `generate_checkpoint_state_proto` takes it, like the next ones.
        all_model_checkpoint_paths: see there.
        latest_filename: the state file's name; "checkpoint" by default.
        all_model_checkpoint_timestamps: see there.
        last_preserved_timestamp: see there.
        storage_options: options of the store, as fsspec takes them.

    Raises:
        RuntimeError: the latest checkpoint has the state file's own path.
        InvalidArgumentError: there are times, and not as many as paths.
        CommitConflictError: other writers have replaced the file again and again.
        CommitUnknownError: the answer was lost, and reading back did not prove who won.
        StorageError: the store failed.

    Cost: a GET and a PUT.
    """
    directory = os.fspath(save_dir)
    path = os.path.join(directory, latest_filename or STATE_FILENAME)
    state = state_naming(
        directory,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )
    _refuse_own_path(path, state)
    with open_location(path, storage_options) as file:
        name_checkpoints(SaveDirectory.of(path, file).location, os.path.basename(file.key), state)


def write_state(
    directory: SaveDirectory,
    latest: str,
    names: Iterable[str],
    *,
    latest_filename: str | None = None,
    save_relative_paths: bool = False,
) -> None:
    """As `update_checkpoint_state`, of a saver that has just committed `latest` in a directory that is open.

    Args:
        directory: of the state file.
        latest: the checkpoint's path, as the user wrote it.
        names: of all that the saver keeps.
        latest_filename: the state file's name; "checkpoint" by default.
        save_relative_paths: whether absolute paths become relative, too.

    Raises: what `update_checkpoint_state` raises; a `CommitConflictError` with the checkpoint as its `committed`.
    """
    filename = latest_filename or STATE_FILENAME
    state = state_naming(directory.path, latest, names, relative=save_relative_paths)
    _refuse_own_path(os.path.join(directory.path, filename), state)
    name_checkpoints(directory.location, filename, state, committed=latest)


def state_naming(
    directory: str,
    latest: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]] | None,
    timestamps: Iterable[float] | None = None,
    last_preserved: float | None = None,
    *,
    relative: bool = False,
) -> CheckpointState:
    """A state that names these checkpoints, by the paths that a state file in the directory has for them.

    Args:
        directory: of the state file, as the user wrote it.
        latest: the newest checkpoint's path, as the user wrote it.
        paths: of all that are named, oldest first; the latest is added to the end if it does not stand there.
        timestamps: when each was saved, seconds since the epoch; none, or one for each.
        last_preserved: when the last one was saved that is kept for good, seconds since the epoch.
        relative: whether absolute paths become relative, too.

    Raises:
        InvalidArgumentError: there are times, and not as many as paths.
    """
    newest, times = os.fspath(latest), tuple(timestamps or ())
    named = [os.fspath(path) for path in paths or ()]
    if not named or named[-1] != newest:
        named.append(newest)
    if times and len(times) != len(named):
        raise InvalidArgumentError(
            f"{len(times)} timestamps don't fit {len(named)} checkpoint paths: give one for each"
        )
    written = tuple(written_path(directory, path, relative=relative) for path in named)
    return CheckpointState(written[-1], written, times, last_preserved or 0.0)


def _refuse_own_path(file: str, state: CheckpointState) -> None:
    # As in TensorFlow, only where the state names it by the very path that the state file has.
    if state.latest == file:
        raise RuntimeError(
            f"the save path {redacted(state.latest)!r} conflicts with its own state file: save under another name, or "
            "give the state file another one by latest_filename"
        )
