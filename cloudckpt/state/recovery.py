"""Which checkpoint a restarted job goes on from: an order to try them in, as a pure function of what was seen.

The state file is a hint. Its newest checkpoint comes first, unless the job died after a commit and before it could
name what it had committed; and the listing is the last resort, so that a job never starts from scratch by mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.state.steps import step_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.state.directory import DirectoryView

__all__ = ["first_choices", "last_resorts", "named_steps", "resumable_steps", "steps_of"]


def steps_of(paths: Iterable[str], base_name: str) -> list[int]:
    """The steps of those paths that are of the base name, in their order."""
    return [step for path in paths if (step := step_of(path, base_name)) is not None]


def named_steps(view: DirectoryView, base_name: str) -> list[int]:
    """The steps that the state names, newest first: its latest, then the others from the last one backwards."""
    state = view.read.state
    return list(dict.fromkeys(steps_of((state.latest, *reversed(state.paths)), base_name)))


def first_choices(view: DirectoryView, base_name: str) -> list[int]:
    """Steps to try in turn, by what the state says; empty without a state that names anything of the base name."""
    named = named_steps(view, base_name)
    return [*_committed_unnamed(view, named, base_name), *named] if named else []


def last_resorts(view: DirectoryView, base_name: str) -> list[int]:
    """Steps to try when nothing that the state names is whole: all that are there, the highest first.

    Steps of a line that was left are not among them.
    """
    passed = {*first_choices(view, base_name), *steps_of(view.read.state.left, base_name)}
    return sorted((step for step, files in view.steps.items() if files.index and step not in passed), reverse=True)


def resumable_steps(view: DirectoryView, base_name: str) -> list[int]:
    """The steps that have an index, in ascending order, without those that are being deleted or were left."""
    gone = {*steps_of((*view.read.state.retired, *view.read.state.left), base_name)}
    return sorted(step for step, files in view.steps.items() if files.index and step not in gone)


def _committed_unnamed(view: DirectoryView, named: list[int], base_name: str) -> list[int]:
    """Steps beyond the state's latest that were committed after it was written: the job died between the two."""
    state, written = view.read.state, view.read.info
    indexes = {step: files.index for step, files in view.steps.items() if files.index}
    if written is None or any(step in indexes and indexes[step].modified > written.modified for step in named):
        return []  # the folder is a copy, so its times say nothing
    known = {*named, *steps_of((*state.retired, *state.left), base_name)}
    newer = (
        step
        for step, index in indexes.items()
        if step > named[0] and step not in known and index.modified >= written.modified
    )
    return sorted(newer, reverse=True)
