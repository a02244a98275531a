"""The list of checkpoints that `train.CheckpointManager` manages, and which of them go: TensorFlow's retention.

It deletes nothing and sends no request. What is preserved for good is no longer in the list, and is known by its time
alone: it was saved up to `last_preserved`.
Source: python/checkpoint/checkpoint_management.py, CheckpointManager.__init__ and CheckpointManager._sweep.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.state.state_file import CheckpointState

__all__ = ["Managed", "ManagedCheckpoints"]

logger = logging.getLogger(__name__)


class Managed(NamedTuple):
    """A checkpoint in the list."""

    path: str
    """as TensorFlow spells it: the directory that the manager was given, and what follows"""
    timestamp: float
    """when it was saved, seconds since the epoch by this machine's clock"""
    version: str | None
    """of its index, as this manager wrote or found it; None if it does not know"""


class ManagedCheckpoints:
    """What one manager manages, oldest first, and its time bookkeeping.

    Args:
        max_to_keep: how many stay in the list; None for all.
        keep_every_n_hours: of those that drop out of it, one for every so many hours is preserved; None for none.

    Raises:
        InvalidArgumentError: a ValueError: `max_to_keep` is not positive.
    """

    def __init__(self, max_to_keep: int | None, keep_every_n_hours: float | None) -> None:
        if max_to_keep is not None and max_to_keep <= 0:
            raise InvalidArgumentError(f"max_to_keep must be positive, or None to keep all, got {max_to_keep}")
        self._max_to_keep = max_to_keep
        self._interval = keep_every_n_hours * 3600 if keep_every_n_hours else None
        self._managed: dict[str, Managed] = {}
        self.latest: str | None = None
        """the path of the newest checkpoint, saved or found"""
        # As in TensorFlow, a second back: what is saved at once must count as saved later.
        self.last_preserved: float = time.time() - 1
        """when the newest preserved one was saved, or else when counting began, seconds since the epoch"""

    @property
    def all(self) -> list[Managed]:
        """The list, oldest first; a fresh one."""
        return list(self._managed.values())

    @property
    def paths(self) -> list[str]:
        """Their paths; a fresh list."""
        return list(self._managed)

    def recover(self, state: CheckpointState, named: Iterable[Managed]) -> None:
        """Go on from the state file of an earlier manager.

        What was saved up to the time of its last preserved checkpoint is preserved, and not in the list. Times to come
        are of a clock that was ahead, and count as now: so nothing counts as preserved by mistake, or goes too early.

        Args:
            state: what the state file says.
            named: the checkpoints that it names, oldest first; the times are taken from the state.
        """
        now = time.time()
        ahead = state.last_preserved - now
        if ahead > 0:
            logger.warning("the clock is %f seconds behind the time of the last checkpoint that was preserved", ahead)
        self.last_preserved = min(state.last_preserved, now)
        times = state.timestamps or (self.last_preserved,) * len(state.paths)
        for managed, saved_at in zip(named, times, strict=False):
            timestamp = min(saved_at, now)
            if timestamp > self.last_preserved:
                self._managed[managed.path] = managed._replace(timestamp=timestamp)

    def record(self, path: str, version: str | None) -> None:
        """Put a checkpoint at the end of the list, as the newest, and saved now.

        Args:
            path: its path.
            version: of its index; None if that is not known.
        """
        self._managed.pop(path, None)
        self._managed[path] = Managed(path, time.time(), version)
        self.latest = path

    def know_version(self, path: str, version: str | None) -> None:
        """Know the version of the index of a checkpoint in the list."""
        self._managed[path] = self._managed[path]._replace(version=version)

    def sweep(self) -> list[Managed]:
        """Take the oldest ones out of the list that are too many.

        Returns:
            Those of them that go, oldest first; the others are preserved.
        """
        going = []
        while self._max_to_keep and len(self._managed) > self._max_to_keep:
            oldest = self._managed.pop(next(iter(self._managed)))
            if self._interval is not None and oldest.timestamp - self._interval >= self.last_preserved:
                self.last_preserved = oldest.timestamp
            else:
                going.append(oldest)
        return going
