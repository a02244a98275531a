"""Finding the newest whole checkpoint of a directory: candidates in turn, each one passed over with a warning."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeVar

from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError, RecoveryWarning
from cloudckpt.state.directory import look
from cloudckpt.state.recovery import first_choices, last_resorts, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.storage.open import Location

__all__ = ["newest_whole"]

Result = TypeVar("Result")

ATTEMPTS = 5
"""How often it looks at a directory in which others save faster than it reads."""


def newest_whole(
    directory: Location, base_name: str, use: Callable[[int, PrefixFiles], Result]
) -> tuple[DirectoryView, tuple[int, Result] | None]:
    """The newest step that `use` accepts, and what it made of it; None if the directory never had a checkpoint.

    Beside it what the directory looked like. It looks again, a few times, if nothing was whole but another writer has
    saved meanwhile: retention may have deleted what was about to be read.

    Args:
        directory: where to look.
        base_name: of the checkpoints.
        use: called with a step and its files; raises `CheckpointDamagedError` for one that is not whole.

    Raises:
        CheckpointDamagedError: there is something, and nothing whole.
    """
    view = look(directory, base_name)
    for _ in range(ATTEMPTS - 1):
        try:
            return view, _newest_in(directory, base_name, view, use)
        except CheckpointDamagedError:
            seen, view = view, look(directory, base_name)
            if view.read.info == seen.read.info:
                raise
    return view, _newest_in(directory, base_name, view, use)


def _newest_in(
    directory: Location, base_name: str, view: DirectoryView, use: Callable[[int, PrefixFiles], Result]
) -> tuple[int, Result] | None:
    found = _first_whole(directory, first_choices(view, base_name), view, use)
    if found is None:
        _warn_of_state(directory, view)
        found = _first_whole(directory, last_resorts(view, base_name), view, use)
    if found is None:
        _refuse_scratch(directory, base_name, view)
    return found


def _first_whole(
    directory: Location, steps: Iterable[int], view: DirectoryView, use: Callable[[int, PrefixFiles], Result]
) -> tuple[int, Result] | None:
    for step in steps:
        files = view.steps.get(step)
        try:
            if files is None or files.index is None:
                raise CheckpointNotFoundError("it has no index")
            return step, use(step, files)
        except (CheckpointDamagedError, CheckpointNotFoundError) as error:
            _warn(f"step {step} in {directory.url!r} is passed over: {error}")
    return None


def _warn_of_state(directory: Location, view: DirectoryView) -> None:
    if view.read.error is not None:
        _warn(f"{view.read.error}; looking for the highest step beside it instead")
    elif view.read.info is not None:
        _warn(
            f"the state file in {directory.url!r} names nothing whole; looking for the highest step beside it instead"
        )


def _refuse_scratch(directory: Location, base_name: str, view: DirectoryView) -> None:
    state = view.read.state
    indexes = sorted(step for step, files in view.steps.items() if files.index)
    if not (indexes or state.latest or state.paths or view.read.error):
        return
    if indexes:
        left = set(steps_of(state.left, base_name)).intersection(indexes)
        found = f"it has the steps {indexes}" + (f", of which {sorted(left)} were left behind" if left else "")
    else:
        found = "its state file can't be read" if view.read.error else f"its state file names {state.latest!r}"
    raise CheckpointDamagedError(
        f"{directory.url!r} holds no whole checkpoint named {base_name}-<step> that may be resumed, but it is not "
        f"empty: {found}. Starting from scratch might lose a run: restore one step by hand, or point the job at "
        "another directory",
        path=directory.url,
    )


def _warn(message: str) -> None:
    # Up through the functions of this module and the manager's method, to the line of the training job.
    warnings.warn(message, RecoveryWarning, stacklevel=6)
