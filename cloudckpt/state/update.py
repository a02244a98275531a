"""Naming checkpoints in a state file beside other writers: read, then swap on the condition that it is unchanged."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.conflict import winner_of
from cloudckpt.errors import CommitConflictError, PreconditionFailedError
from cloudckpt.state.directory import ReadState, read_state, swap_state
from cloudckpt.state.state_file import last_component
from cloudckpt.storage.deadline import pause
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from cloudckpt.state.state_file import CheckpointState
    from cloudckpt.storage.location import Location

__all__ = ["name_checkpoints", "rename_checkpoints"]

logger = logging.getLogger(__name__)

MOST_SWAPS = 10
"""How often the swap is tried: a writer that is faster as often has lost sight of the others."""
FIRST_PAUSE = 0.02
"""Seconds at most before the second attempt; the bound doubles."""


def name_checkpoints(
    directory: Location, filename: str, state: CheckpointState, *, committed: str | None = None
) -> ReadState:
    """Let a state file name what a state names, whatever it named before. A GET and a PUT, again where others swap it.

    What its comment line says stays, but of those that are named now.

    Args:
        directory: of the state file.
        filename: its name.
        state: what it is to name, without anything in its comment line.
        committed: the checkpoint that was just saved, for the error.

    Returns:
        The state file as it was written.

    Raises:
        CommitConflictError: other writers have swapped it again and again.
        CommitUnknownError: the answer was lost, and reading back did not prove who won.
        StorageError: the store failed.
    """
    for attempt in range(MOST_SWAPS):
        found = read_state(directory, filename)
        if found.error is not None:
            logger.warning("%s is replaced: %s", directory.child(filename).url, found.error)
        swapped = _with_remarks_of(found.state, state)
        try:
            info = swap_state(directory, swapped, found.info, filename)
        except PreconditionFailedError as error:
            lost = error
            pause(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311 - jitter is no secret
        else:
            return ReadState(swapped, info)
    raise _conflict(directory, filename, read_state(directory, filename), committed) from lost


def rename_checkpoints(directory: Location, filename: str, state: CheckpointState, written: ReadState) -> None:
    """Let a state file that was just written name others, unless another writer has replaced it since. One PUT.

    Args:
        directory: of the state file.
        filename: its name.
        state: what it is to name, without anything in its comment line.
        written: the state file as it was written.

    Raises:
        CommitUnknownError: the answer was lost, and reading back did not prove who won.
        StorageError: the store failed.
    """
    try:
        swap_state(directory, _with_remarks_of(written.state, state), written.info, filename)
    except PreconditionFailedError as error:
        logger.info("%s stays as another writer has left it: %s", directory.child(filename).url, error)


def _with_remarks_of(found: CheckpointState, state: CheckpointState) -> CheckpointState:
    """The state, with what another one says in its comment line, but of the latest, which may be new.

    Named checkpoints are neither retired nor left; only of them metrics are known.
    """
    named = {last_component(path) for path in (state.latest, *state.paths)}
    older = named - {last_component(state.latest)}
    return replace(
        state,
        retired=tuple(name for name in found.retired if name not in named),
        left=tuple(name for name in found.left if name not in named),
        max_save_time=found.max_save_time,
        metrics={name: metrics for name, metrics in found.metrics.items() if name in older},
        passed=tuple(name for name in found.passed if name in older),
    )


def _conflict(directory: Location, filename: str, found: ReadState, committed: str | None) -> CommitConflictError:
    url = directory.child(filename).url
    winner = None if found.info is None else winner_of(directory, found.info)
    what = f"{redacted(committed)!r} is committed and stays, but" if committed else "nothing was written:"
    who = "" if winner is None else f", the last {winner}"
    return CommitConflictError(
        f"{what} other writers have replaced {url!r} {MOST_SWAPS} times between a look and a swap{who}. See to it that "
        "fewer savers write one state file, or give each its own latest_filename",
        path=url,
        committed=committed,
        winner=winner,
    )
