"""Which checkpoint may not be deleted by hand: the last one that a job could be resumed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.state.recovery import resumable_steps, steps_of

if TYPE_CHECKING:
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.state.state_file import CheckpointState
    from cloudckpt.storage.location import Location

__all__ = ["refuse_last"]


def refuse_last(view: DirectoryView, held: CheckpointState, step: int, directory: Location, base_name: str) -> None:
    """Raise if recovery would find nothing without a step: the job would start from scratch.

    Args:
        view: what is in the directory.
        held: the state that names its checkpoints; one that names none leaves it to the listing to find them.
        step: the one that is to be deleted.
        directory: where, for the message.
        base_name: of the checkpoints.

    Raises:
        InvalidArgumentError: it is the last one.
    """
    there = {each for each, files in view.steps.items() if files.index}
    found = there.intersection(steps_of(held.paths, base_name)) if held.latest else {*resumable_steps(view, base_name)}
    if found != {step}:
        return
    url = directory.url
    raise InvalidArgumentError(
        f"step {step} is the last one in {url!r} that a job can be resumed from, so it is not deleted: save another "
        "one first; to start from scratch, use another directory or delete this one by hand",
        path=url,
    )
