"""How one state follows from another when a step is saved or deleted: pure functions from state to state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloudckpt.state.retention import Kept, retain
from cloudckpt.state.state_file import CheckpointState, last_component
from cloudckpt.state.steps import checkpoint_name, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.state.policies import Policy

__all__ = ["adopted", "before_save", "deleted", "gone", "named", "own", "put_aside", "rated", "saved", "settled"]


def named(state: CheckpointState) -> list[Kept]:
    """The checkpoints that a state names, oldest first and its latest last; times that it does not have are 0."""
    times = state.timestamps if len(state.timestamps) == len(state.paths) else (0.0,) * len(state.paths)
    kept = dict(zip(state.paths, times, strict=True))
    if state.latest:
        kept[state.latest] = kept.pop(state.latest, 0.0)
    return [_kept(state, path, time) for path, time in kept.items()]


def _kept(state: CheckpointState, path: str, timestamp: float) -> Kept:
    name = last_component(path)
    return Kept(path, timestamp, state.metrics.get(name), name in state.passed)


def before_save(state: CheckpointState, step: int, base_name: str, replaced: str = "") -> CheckpointState:
    """The state in which a step may be saved: nobody deletes it as retired, and a later line has been left.

    Args:
        state: the state from before.
        step: the step.
        base_name: of the checkpoints.
        replaced: the version of the index that the step has already, if it has one.
    """
    name, latest = checkpoint_name(base_name, step), step_of(state.latest, base_name)
    state = replace(state, retired=tuple(other for other in state.retired if other != name))
    state = replace(state, successor="", instead_of="")
    return state if latest is None or step >= latest else _rolled_back(state, step, base_name, replaced)


def _rolled_back(state: CheckpointState, step: int, base_name: str, replaced: str) -> CheckpointState:
    """The step and what follows it are named no more, but listed as left.

    If that is all, they stay named until the step is there: else a crash before that would leave nothing to resume.
    """

    def stays(path: str) -> bool:
        of_path = step_of(path, base_name)
        return of_path is None or of_path < step

    kept = [checkpoint for checkpoint in named(state) if stays(checkpoint.path)]
    if not kept:
        return replace(state, successor=checkpoint_name(base_name, step), instead_of=replaced)
    dropped = [last_component(path) for path in state.paths if not stays(path)]
    return replace(_naming(state, kept), left=_unique((*state.left, *dropped)))


def settled(state: CheckpointState, is_there: Callable[[str], bool]) -> CheckpointState:
    """The state without a successor, which has taken the place of all others if it is there, and else never will."""
    if not state.successor or not is_there(state.successor):
        return replace(state, successor="", instead_of="")
    left = (last_component(path) for path in (*state.paths, state.latest) if path)
    others = _unique(name for name in (*state.left, *left) if name != state.successor)
    return replace(_naming(state, [Kept(state.successor, 0.0)]), left=others, successor="", instead_of="")


def saved(
    state: CheckpointState,
    checkpoint: Kept,
    *,
    keep: Policy,
    deletable: Callable[[str], bool],
) -> CheckpointState:
    """The state after a checkpoint was saved, which is the newest now.

    What retention drops is listed as retired if it may be deleted, and otherwise only no longer named.
    """
    state = settled(state, checkpoint.path.__eq__)
    others = [old for old in named(state) if last_component(old.path) != checkpoint.path]
    retention = retain([*others, checkpoint], keep, last_preserved=state.last_preserved)
    retired = (last_component(old.path) for old in retention.retired if deletable(old.path))
    kept = {last_component(named.path) for named in retention.kept}
    return replace(
        _naming(state, retention.kept),
        last_preserved=retention.last_preserved,
        retired=_unique(name for name in (*state.retired, *retired) if name not in kept),
        left=tuple(name for name in state.left if name != checkpoint.path),
    )


def adopted(state: CheckpointState, checkpoint: Kept, base_name: str) -> CheckpointState:
    """The state that names a checkpoint which it did not name, at its place by its step."""
    state = settled(state, checkpoint.path.__eq__)
    step = step_of(checkpoint.path, base_name)
    if step is None or step in {step_of(path, base_name) for path in state.paths}:
        return state
    kept = sorted([*named(state), checkpoint], key=lambda kept: step_of(kept.path, base_name) or 0)
    return replace(
        _naming(state, kept),
        retired=tuple(name for name in state.retired if name != checkpoint.path),
        left=tuple(name for name in state.left if name != checkpoint.path),
    )


def deleted(state: CheckpointState, name: str) -> CheckpointState:
    """The state after somebody has asked to delete a checkpoint: named no more, and listed as retired."""
    state = _without(state, name)
    return replace(state, retired=_unique((*state.retired, name)), left=tuple(n for n in state.left if n != name))


def gone(state: CheckpointState, name: str, base_name: str) -> CheckpointState:
    """The state after a retired checkpoint was deleted.

    One that was newer than the latest is listed as left, for its step may be saved again, and not under the same names.
    """
    step, latest = step_of(name, base_name), step_of(state.latest, base_name)
    is_newer = step is not None and latest is not None and step > latest
    return replace(
        state,
        retired=tuple(other for other in state.retired if other != name),
        left=_unique((*state.left, name)) if is_newer else state.left,
    )


def put_aside(state: CheckpointState, name: str) -> CheckpointState:
    """The state after a checkpoint turned out broken: named no more, and listed as left."""
    state = _without(state, name)
    return replace(state, left=_unique((*state.left, name)))


def _without(state: CheckpointState, name: str) -> CheckpointState:
    return _naming(state, [checkpoint for checkpoint in named(state) if last_component(checkpoint.path) != name])


def rated(state: CheckpointState, metrics: Mapping[str, Mapping[str, float]]) -> CheckpointState:
    """The state that also knows what was saved with some checkpoints, by their paths."""
    return _naming(state, [each._replace(metrics=metrics.get(each.path, each.metrics)) for each in named(state)])


def own(state: CheckpointState, base_name: str, steps: Mapping[int, PrefixFiles]) -> CheckpointState:
    """The state as far as it is about one base name, with the index files' times for checkpoints that have none.

    What its comment line says of anything but this base name's checkpoints in the directory itself is forgotten: a
    manager deletes what is listed there.
    """

    def is_own(name: str) -> bool:
        return name == last_component(name) and step_of(name, base_name) is not None

    kept = []
    for checkpoint in named(state):
        step = step_of(checkpoint.path, base_name)
        if step is not None:
            index = steps[step].index if step in steps and not checkpoint.timestamp else None
            kept.append(checkpoint._replace(timestamp=index.modified) if index else checkpoint)
    state = replace(state, retired=tuple(filter(is_own, state.retired)), left=tuple(filter(is_own, state.left)))
    return _naming(state, kept)


def _naming(state: CheckpointState, kept: Sequence[Kept]) -> CheckpointState:
    """The same state, naming these checkpoints, the newest last."""
    return replace(
        state,
        latest=kept[-1].path if kept else "",
        paths=tuple(checkpoint.path for checkpoint in kept),
        timestamps=tuple(checkpoint.timestamp for checkpoint in kept),
        metrics={last_component(each.path): each.metrics for each in kept if each.metrics is not None},
        passed=tuple(last_component(each.path) for each in kept if each.passed),
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
