"""Which checkpoints stay: a pure function of their times, steps and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cloudckpt.state.policies import EveryHours, Latest
from cloudckpt.state.steps import trailing_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudckpt.state.policies import Policy

__all__ = ["Kept", "Retention", "retain"]


class Kept(NamedTuple):
    """A checkpoint that the state names."""

    path: str
    timestamp: float
    """when it was saved, seconds since the epoch; 0 if nobody knows"""
    metrics: Mapping[str, float] | None = None
    """what was saved with it; None if nobody has looked"""
    passed: bool = False
    """whether the hours were counted past it, so that only other policies keep it"""

    @property
    def step(self) -> int | None:
        """The step that its name ends in."""
        return trailing_step(self.path)


class Retention(NamedTuple):
    """What stays, what goes, and when the newest of those that `EveryHours` keeps was saved."""

    kept: list[Kept]
    retired: list[Kept]
    last_preserved: float


def retain(checkpoints: Sequence[Kept], policy: Policy, *, last_preserved: float) -> Retention:
    """Divide checkpoints, oldest first and the one just saved last, into those that stay and those that go.

    What a policy chooses stays, and the newest whatever it says. Hours are counted among those that are older than the
    newest which `Latest` keeps: each stays that was saved at least so many hours after the one preserved before it; the
    first one ever does. What is preserved stays for ever, whatever later calls say of hours: it is what was saved up
    to `last_preserved`, the last answer's (0 before any), but for what was `passed`.

    A time beyond that of the checkpoint just saved comes from a clock that was wrong, and counts as that time.
    Source: CheckpointManager._sweep in python/checkpoint/checkpoint_management.py, which begins to count hours when
    it is made, and no longer names what it preserved.
    """
    now = checkpoints[-1].timestamp if checkpoints else 0.0
    possible = [each._replace(timestamp=min(each.timestamp, now)) for each in checkpoints]
    last_preserved = min(last_preserved, now)
    older = len(possible) - _newest_count(policy, len(possible))
    chosen, hours = policy.chosen(possible), _hours(policy)
    kept: list[Kept] = []
    retired: list[Kept] = []
    for each in possible[:older]:
        if not each.passed and 0 < each.timestamp <= last_preserved:
            kept.append(each)
        elif hours is not None and each.timestamp - last_preserved >= hours * 3600:
            kept.append(each._replace(passed=False))
            last_preserved = each.timestamp
        elif each.path in chosen:
            kept.append(each._replace(passed=each.passed or hours is not None))
        else:
            retired.append(each)
    return Retention([*kept, *possible[older:]], retired, last_preserved)


def _newest_count(policy: Policy, count: int) -> int:
    """How many of the newest stay in any case, of so many checkpoints."""
    limits = [member.count for member in policy.members if isinstance(member, Latest)]
    return min(count, max((count if limit is None else limit for limit in limits), default=1))


def _hours(policy: Policy) -> float | None:
    return next((member.hours for member in policy.members if isinstance(member, EveryHours)), None)
