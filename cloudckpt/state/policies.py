"""Which checkpoints stay, said in small objects that compose: `Latest(3) | EveryHours(2) | Best("loss")`.

A policy says what stays; what no member of a union keeps may go. The newest checkpoint stays under every policy.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cloudckpt.state.metrics import best_first

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from cloudckpt.state.retention import Kept

__all__ = ["AnyOf", "Best", "EveryHours", "EverySteps", "Latest", "Pinned", "Policy"]


class Policy(ABC):
    """Which checkpoints of a directory stay. Immutable; `one | other` keeps what either keeps."""

    def __or__(self, other: object) -> Policy:
        """Keep what one of the two keeps.

        Raises:
            ValueError: both count hours.
        """
        return AnyOf((*self.members, *other.members)) if isinstance(other, Policy) else NotImplemented

    @property
    def members(self) -> tuple[Policy, ...]:
        """The policies that it is made of; itself, if it is of one piece."""
        return (self,)

    @abstractmethod
    def chosen(self, checkpoints: Sequence[Kept]) -> AbstractSet[str]:
        """The paths of those that stay, of checkpoints in the order in which they were saved."""


@dataclass(frozen=True, slots=True)
class AnyOf(Policy):
    """What any of several policies keeps: what `|` makes."""

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        if sum(isinstance(policy, EveryHours) for policy in self.policies) > 1:
            raise ValueError(f"hours are counted once: give one EveryHours, got {self.policies}")

    @property
    def members(self) -> tuple[Policy, ...]:
        """The policies that it is made of."""
        return self.policies

    def chosen(self, checkpoints: Sequence[Kept]) -> AbstractSet[str]:
        """The paths of those that any member keeps."""
        return frozenset[str]().union(*(policy.chosen(checkpoints) for policy in self.policies))


@dataclass(frozen=True, slots=True)
class Latest(Policy):
    """The newest `count` checkpoints; all for None.

    Raises:
        ValueError: the count is less than 1.
    """

    count: int | None

    def __post_init__(self) -> None:
        if self.count is not None and operator.index(self.count) < 1:
            raise ValueError(f"Latest keeps 1 checkpoint or more, or None for all; got {self.count}")

    def chosen(self, checkpoints: Sequence[Kept]) -> AbstractSet[str]:
        """The paths of the newest."""
        return _paths(checkpoints if self.count is None else checkpoints[-self.count :])


@dataclass(frozen=True, slots=True)
class EveryHours(Policy):
    """One checkpoint for every so many hours, for ever, by the times of the store.

    What it has kept once stays, also under policies of later runs that say nothing of hours. A union counts hours once.

    Raises:
        ValueError: the hours are not more than 0.
    """

    hours: float

    def __post_init__(self) -> None:
        if not self.hours > 0:
            raise ValueError(f"EveryHours takes hours above 0, got {self.hours}")

    def chosen(self, checkpoints: Sequence[Kept]) -> AbstractSet[str]:
        """None by itself: what it keeps depends on what it kept before, which `retain` counts."""
        del checkpoints
        return frozenset()


@dataclass(frozen=True, slots=True)
class EverySteps(Policy):
    """The checkpoints of each step that is a multiple of `steps`, for ever.

    Raises:
        ValueError: the steps are less than 1.
    """

    steps: int

    def __post_init__(self) -> None:
        if operator.index(self.steps) < 1:
            raise ValueError(f"EverySteps takes 1 step or more, got {self.steps}")

    def chosen(self, checkpoints: Sequence[Kept]) -> AbstractSet[str]:
        """The paths of those steps."""
        return _paths(each for each in checkpoints if each.step is not None and each.step % self.steps == 0)


@dataclass(frozen=True, slots=True)
class Best(Policy):
    """The `count` best checkpoints by a metric that was saved with them; of equal ones the newer.

    One whose metric is NaN, or that was saved without it, is none of them; one whose metrics can't be looked up now
    stays until they can.

    Raises:
        ValueError: the mode is neither "min" nor "max", or the count less than 1.
    """

    metric: str
    mode: Literal["min", "max"] = "min"
    count: int = 1

    def __post_init__(self) -> None:
        if self.mode not in {"min", "max"}:
            raise ValueError(f'the mode is "min" or "max", got {self.mode!r}')
        if operator.index(self.count) < 1:
            raise ValueError(f"Best keeps 1 checkpoint or more, got {self.count}")

    def chosen(self, checkpoints: Sequence[Kept]) -> AbstractSet[str]:
        """The paths of the best, and of those of which nobody knows how good they are."""
        ranked = best_first([(each.metrics or {}, each.path) for each in checkpoints], self.metric, self.mode)
        unknown = (each.path for each in checkpoints if each.metrics is None)
        return {*ranked[: self.count], *unknown}


@dataclass(frozen=True, slots=True)
class Pinned(Policy):
    """The checkpoints of certain steps, given in any collection.

    Raises:
        TypeError: a step is no integer.
    """

    steps: Collection[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", frozenset(map(operator.index, self.steps)))

    def chosen(self, checkpoints: Sequence[Kept]) -> AbstractSet[str]:
        """The paths of those steps."""
        return _paths(each for each in checkpoints if each.step in self.steps)


def _paths(checkpoints: Iterable[Kept]) -> AbstractSet[str]:
    return {each.path for each in checkpoints}
