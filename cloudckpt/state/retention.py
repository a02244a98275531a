"""Which checkpoints stay: a pure function of their times."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Kept", "Retention", "retain"]


class Kept(NamedTuple):
    """A checkpoint that the state names."""

    path: str
    timestamp: float
    """when it was saved, seconds since the epoch; 0 if nobody knows"""


class Retention(NamedTuple):
    """What stays, what goes, and when the newest of those that only `keep_every_n_hours` keeps was saved."""

    kept: list[Kept]
    retired: list[Kept]
    last_preserved: float


def retain(
    checkpoints: Sequence[Kept], *, max_to_keep: int | None, keep_every_n_hours: float | None, last_preserved: float
) -> Retention:
    """Divide checkpoints, oldest first and the one just saved last, into those that stay and those that go.

    The newest `max_to_keep` stay (None or 0: all). Of the older ones each stays that was saved at least so many hours
    after the one preserved before it; the first one ever does. What is preserved stays for ever, whatever later
    calls say of `keep_every_n_hours`: it is what was saved up to `last_preserved`, the last answer's (0 before any).

    A time beyond that of the checkpoint just saved comes from a clock that was wrong, and counts as that time.
    Source: CheckpointManager._sweep in python/checkpoint/checkpoint_management.py, which begins to count hours when
    it is made, and no longer names what it preserved.
    """
    now = checkpoints[-1].timestamp if checkpoints else 0.0
    possible = [Kept(path, min(timestamp, now)) for path, timestamp in checkpoints]
    last_preserved = min(last_preserved, now)
    if not max_to_keep:
        return Retention(possible, [], last_preserved)
    preserved: list[Kept] = []
    retired: list[Kept] = []
    for checkpoint in possible[:-max_to_keep]:
        if 0 < checkpoint.timestamp <= last_preserved:
            preserved.append(checkpoint)
        elif keep_every_n_hours is not None and checkpoint.timestamp - last_preserved >= keep_every_n_hours * 3600:
            preserved.append(checkpoint)
            last_preserved = checkpoint.timestamp
        else:
            retired.append(checkpoint)
    return Retention([*preserved, *possible[-max_to_keep:]], retired, last_preserved)
