"""One directory of checkpoints: what its state file says, and what a listing shows beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.prefix import PrefixFiles, sort_by_prefix
from cloudckpt.checksums import crc32c
from cloudckpt.errors import ObjectNotFoundError, StateFileError
from cloudckpt.state.state_file import STATE_FILENAME, CheckpointState, decode_state, encode_state
from cloudckpt.state.steps import checkpoint_name, step_of
from cloudckpt.state.transitions import settled
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, WriteCondition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["DirectoryView", "ReadState", "look", "read_readable_state", "read_state", "swap_state"]


@dataclass(frozen=True, slots=True)
class ReadState:
    """A state file at one moment. Without one, `info` is None and the state is empty."""

    state: CheckpointState
    info: ObjectInfo | None
    error: StateFileError | None = None
    """why it could not be read, if it could not; the state is empty then"""


@dataclass(frozen=True, slots=True)
class DirectoryView:
    """A directory at one moment: the state file first, then the listing."""

    read: ReadState
    steps: Mapping[int, PrefixFiles]
    """the files of every step of the base name; a step need not be whole, nor have an index"""


def read_state(directory: Location, filename: str = STATE_FILENAME) -> ReadState:
    """Read a directory's state file. One GET.

    Raises:
        StorageError: the store failed; that the file does not exist is no error.
    """
    location = directory.child(filename)
    try:
        data, info = location.store.get(location.key)
    except ObjectNotFoundError:
        return ReadState(CheckpointState(), None)
    try:
        return ReadState(decode_state(data, location.url), info)
    except StateFileError as error:
        return ReadState(CheckpointState(), info, error)


def read_readable_state(directory: Location, filename: str = STATE_FILENAME) -> ReadState:
    """Read a directory's state file, which need not be there, but must be readable if it is.

    A GET; and a LIST if it is not there, because a GET tells a missing file no better from a missing bucket.

    Raises:
        StateFileError: it is there and can't be read.
        StorageError: the store failed, or the bucket itself does not exist.
    """
    read = read_state(directory, filename)
    if read.error is not None:
        raise read.error
    if read.info is None:
        next(directory.store.list(directory.child(filename).key), None)
    return read


def look(directory: Location, base_name: str) -> DirectoryView:
    """Read the state file, then list the checkpoints of a base name beside it. A GET, and a LIST a thousand files.

    The state is the one after a successor that has come.
    """
    read = read_state(directory)
    first = directory.child(f"{base_name}-")
    steps: dict[int, PrefixFiles] = {}
    for key, files in sort_by_prefix(first.store.list(first.key)).items():
        step = step_of(key, base_name)
        if step is not None and key == directory.child(checkpoint_name(base_name, step)).key:
            steps[step] = files

    def has_come(name: str) -> bool:
        step = step_of(name, base_name)
        index = steps[step].index if step in steps else None
        return index is not None and index.version != read.state.instead_of

    return DirectoryView(replace(read, state=settled(read.state, has_come)), steps)


def swap_state(
    directory: Location, state: CheckpointState, replaced: ObjectInfo | None, filename: str = STATE_FILENAME
) -> ObjectInfo:
    """Write the state file, if it is still the one that was read (None: if there still is none). One PUT.

    Raises:
        PreconditionFailedError: another writer replaced it meanwhile; nothing was written.
        CommitUnknownError: the answer was lost, and reading back did not prove who won; it says by which id the write
            can be known.
    """
    location = directory.child(filename)
    data = encode_state(state)
    return location.store.put(location.key, data, _condition(location, replaced), crc32c=crc32c(data))


def _condition(location: Location, replaced: ObjectInfo | None) -> WriteCondition:
    if not location.store.capabilities.replace_if_version:
        return Always()  # a hint to recovery, which finds the truth without it too
    return IfAbsent() if replaced is None else IfVersion(replaced.version)
