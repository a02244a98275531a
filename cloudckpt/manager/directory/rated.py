"""The metrics of a directory's checkpoints: from the state file, which was read anyway, else from the checkpoint."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from cloudckpt.errors import CheckpointDamagedError, CheckpointNotFoundError
from cloudckpt.manager.directory.metrics_tensor import read_metrics
from cloudckpt.state.metrics import best_first
from cloudckpt.state.recovery import resumable_steps
from cloudckpt.state.steps import checkpoint_name

if TYPE_CHECKING:
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.storage.location import Location

__all__ = ["best_of", "metrics_of"]

logger = logging.getLogger(__name__)


def metrics_of(directory: Location, base_name: str, view: DirectoryView, step: int) -> dict[str, float]:
    """What was saved with a step; empty if nothing was.

    Raises:
        CheckpointNotFoundError: there is no such step.
        CheckpointDamagedError: its metrics can't be read.
        StorageError: the store failed.
    """
    name = checkpoint_name(base_name, step)
    prefix, files = directory.child(name), view.steps.get(step)
    if files is None or files.index is None:
        raise CheckpointNotFoundError(f"there is no checkpoint {prefix.url!r}", path=prefix.url, step=step)
    known = view.read.state.metrics.get(name)
    return dict(known) if known is not None else read_metrics(prefix, files)


def best_of(
    directory: Location, base_name: str, view: DirectoryView, metric: str, mode: Literal["min", "max"]
) -> int | None:
    """The step with the best value of a metric, of equal ones the later; None if none has it.

    Raises:
        StorageError: the store failed.
    """
    rated = []
    for step in resumable_steps(view, base_name):
        try:
            rated.append((metrics_of(directory, base_name, view, step), step))
        except (CheckpointNotFoundError, CheckpointDamagedError) as error:
            logger.warning("step %d of %s is not among the best: %s", step, directory.url, error)
    return next(iter(best_first(rated, metric, mode)), None)
