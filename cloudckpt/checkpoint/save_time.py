"""How long a save may take: no collector takes data for garbage while a save of that age may still commit it.

The invariant, and why it holds: docs/design/garbage.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cloudckpt.errors import CommitTimeoutError

if TYPE_CHECKING:
    from cloudckpt.storage.location import Location

__all__ = ["MAX_SAVE_TIME", "SaveClock", "collection_age"]

MAX_SAVE_TIME = 12 * 3600.0
"""Seconds from a save's first look at its prefix to its commit, unless its directory's state allows more."""

_SURELY_FRESH = 3600.0
"""Seconds, by this machine's clocks, for which the store's latest answer will do for its time."""


def collection_age(max_save_time: float) -> float:
    """The age (seconds) at which data that no index names is garbage: what is left after a save is for its last steps,
    for caches, and for clocks that are a little apart.
    """
    return 2 * max_save_time


@dataclass(frozen=True, slots=True)
class SaveClock:
    """When a save began, by its store's clock, and how long it may take."""

    began: float
    """seconds since the epoch; 0.0 where the store tells no times, and nobody collects"""
    by_this_machine: tuple[float, ...]
    limit: float
    """seconds"""

    @classmethod
    def start(cls, prefix: Location, limit: float | None = None) -> Self:
        """Take the time of the store's latest answer for the beginning: no data of the save is older."""
        return cls(prefix.store.time(), _machine_clocks(), MAX_SAVE_TIME if limit is None else limit)

    def check(self, prefix: Location) -> None:
        """Raise `CommitTimeoutError` where the save may not commit any more; called right before it does.

        No request, unless an hour or more has passed since the beginning by any clock of this machine, or one has
        been set: then a LIST, for a fresh time of the store.
        """
        if not self.began:
            return
        passed = (abs(now - then) for now, then in zip(_machine_clocks(), self.by_this_machine, strict=True))
        if max(passed) > _SURELY_FRESH:
            next(iter(prefix.store.list(f"{prefix.key}.index")), None)
        if prefix.store.time() - self.began > self.limit:
            raise self.error(prefix)

    def is_too_late(self, committed: float) -> bool:
        """Whether a collector may have begun to take the data away before the index was written.

        So it is where the process was stopped for a day between the check and the write; nothing else delays a write
        by that much.

        Args:
            committed: when the index was written, by the store's clock.
        """
        return bool(self.began) and committed - self.began > collection_age(self.limit)

    def error(self, prefix: Location) -> CommitTimeoutError:
        """What is raised instead of a commit."""
        taken = prefix.store.time() - self.began
        return CommitTimeoutError(
            f"{prefix.url!r} was not saved: it began {_hours(taken)} ago by the store's clock, and a save must be done "
            f"after {_hours(self.limit)}, for later on a collector of garbage may take its data away. Save again; "
            "where saves do take that long, there is CheckpointManager(max_save_time=...)",
            path=prefix.url,
        )


def _machine_clocks() -> tuple[float, ...]:
    """The clock on the wall, and one that nobody can set; where the system has it, it goes on in sleep."""
    steady = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
    return time.time(), steady


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours"
