"""Finding the newest whole checkpoint of a directory: candidates in turn, each one passed over with a warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cloudckpt.callers import warn_caller
from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError, RecoveryWarning
from cloudckpt.manager.reporting.watch import note_passed_over
from cloudckpt.state.directory import look
from cloudckpt.state.recovery import first_choices, last_resorts, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["Search", "newest_whole"]

Result = TypeVar("Result")

ATTEMPTS = 5
"""How often it looks at a directory in which others save faster than it reads."""


@dataclass(frozen=True, slots=True)
class Search(Generic[Result]):
    """What a search for the newest whole checkpoint has come to."""

    view: DirectoryView
    """what the directory looked like"""
    found: tuple[int, Result] | None
    """the step, and what was made of it; None if the directory never had a checkpoint"""
    broken: Mapping[int, ObjectInfo]
    """the indexes of the steps that were passed over, as they are damaged"""


def newest_whole(directory: Location, base_name: str, use: Callable[[int, PrefixFiles], Result]) -> Search[Result]:
    """Find the newest step that `use` accepts.

    It looks again, a few times, if nothing was whole but another writer has saved meanwhile: retention may have deleted
    what was about to be read.

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
            return _newest_in(directory, base_name, view, use)
        except CheckpointDamagedError:
            seen, view = view, look(directory, base_name)
            if view.read.info == seen.read.info:
                raise
    return _newest_in(directory, base_name, view, use)


def _newest_in(
    directory: Location, base_name: str, view: DirectoryView, use: Callable[[int, PrefixFiles], Result]
) -> Search[Result]:
    broken: dict[int, ObjectInfo] = {}
    found = _first_whole(directory, first_choices(view, base_name), view, use, broken)
    if found is None:
        _warn_of_state(directory, view)
        found = _first_whole(directory, last_resorts(view, base_name), view, use, broken)
    if found is None:
        _refuse_scratch(directory, base_name, view)
    return Search(view, found, broken)


def _first_whole(
    directory: Location,
    steps: Iterable[int],
    view: DirectoryView,
    use: Callable[[int, PrefixFiles], Result],
    broken: dict[int, ObjectInfo],
) -> tuple[int, Result] | None:
    """The first step that is whole; the indexes of those before it that are not are added to `broken`."""
    for step in steps:
        files = view.steps.get(step)
        try:
            if files is None or files.index is None:
                raise CheckpointNotFoundError("it has no index")
            return step, use(step, files)
        except (CheckpointDamagedError, CheckpointNotFoundError) as error:
            warn_caller(f"step {step} in {directory.url!r} is passed over: {error}", RecoveryWarning)
            note_passed_over(step)
            if isinstance(error, CheckpointDamagedError) and files is not None and files.index is not None:
                broken[step] = files.index
    return None


def _warn_of_state(directory: Location, view: DirectoryView) -> None:
    if view.read.error is not None:
        warn_caller(f"{view.read.error}; looking for the highest step beside it instead", RecoveryWarning)
    elif view.read.info is not None:
        warn_caller(
            f"the state file in {directory.url!r} names nothing whole; looking for the highest step beside it instead",
            RecoveryWarning,
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
