"""Directories as recovery sees them, made up for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.checkpoint.prefix import PrefixFiles
from cloudckpt.errors import StateFileError
from cloudckpt.state.directory import DirectoryView, ReadState
from cloudckpt.state.state_file import CheckpointState
from cloudckpt.storage.store import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITTEN = 1000.0
"""When the state files here were written, seconds."""


def indexed(modified: float) -> PrefixFiles:
    """The files of a step that has an index."""
    return PrefixFiles(index=ObjectInfo("run/ckpt.index", 1, "v", modified))


def state_of(*paths: str, retired: tuple[str, ...] = (), left: tuple[str, ...] = ()) -> CheckpointState:
    """A state that names these paths, the last one as its latest."""
    times = tuple(float(number + 1) for number in range(len(paths)))
    return CheckpointState(paths[-1] if paths else "", paths, times, retired=retired, left=left)


def view_of(state: CheckpointState, times: Mapping[int, float]) -> DirectoryView:
    """A state file written at `WRITTEN`, and steps with an index by the times of these."""
    steps = {step: indexed(modified) for step, modified in times.items()}
    return DirectoryView(ReadState(state, ObjectInfo("run/checkpoint", 1, "v", WRITTEN)), steps)


def without_state(times: Mapping[int, float]) -> DirectoryView:
    """A directory without a state file."""
    return DirectoryView(ReadState(CheckpointState(), None), view_of(CheckpointState(), times).steps)


def with_unreadable_state(times: Mapping[int, float]) -> DirectoryView:
    """A directory whose state file can't be read."""
    view = view_of(CheckpointState(), times)
    return DirectoryView(ReadState(view.read.state, view.read.info, StateFileError("rubbish")), view.steps)
