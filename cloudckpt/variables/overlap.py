"""Whether any two of many slices share elements, without comparing each with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.tensor_slice import Region

    Numbers = NDArray[np.int64]

__all__ = ["Budget", "find_overlap"]

MOST_WORK = 200_000_000
"""Regions sorted, or pairs of them compared, times their dimensions: a few seconds."""


class Budget:
    """The work that may be done: for one tensor, or together for those that share it."""

    def __init__(self) -> None:
        self._left = MOST_WORK

    def spend(self, work: int) -> None:
        """Take some of it.

        Raises:
            ValueError: less is left; nothing is taken.
        """
        if work > self._left:
            raise ValueError("the budget is spent")
        self._left -= work


def find_overlap(regions: Sequence[Region], budget: Budget | None = None) -> tuple[int, int] | None:
    """The positions of two regions of one tensor that share elements, or None.

    Args:
        regions: of one tensor.
        budget: what it may take, shared with other tensors; one of its own by default.

    Raises:
        ValueError: to tell would take too long. With a budget of its own it does not where the regions are those of a
            grid, or of grids within the cells of one, or are fewer than ten thousand of at most four dimensions.

    Cost: for regions as cutting along dimensions makes them, sorting them once for every dimension; where no straight
    cut separates them, they are compared pair by pair, all with one in one step. Memory is a few times their numbers.
    """
    rank = len(regions[0]) if regions else 0
    numbers = np.array(regions, dtype=np.int64).reshape(len(regions), rank, 2)
    starts, stops = numbers[:, :, 0], numbers.sum(axis=2)
    # An empty region shares nothing, wherever it is.
    groups = [np.flatnonzero((starts < stops).all(axis=1))]
    budget = Budget() if budget is None else budget
    while groups:
        group = groups.pop()
        if len(group) < 2:
            continue
        parts = _cut(starts[group], stops[group])
        try:
            budget.spend(rank * (len(group) if parts else len(group) ** 2 // 2))
        except ValueError as error:
            raise ValueError(
                f"{len(regions)} slices, so cut that it would take too long to tell whether they overlap, in the time "
                "that tensors before it have left"
            ) from error
        if parts:
            groups += [group[part] for part in parts]
        elif (pair := _compare(starts[group], stops[group])) is not None:
            return int(group[pair[0]]), int(group[pair[1]])
    return None


def _cut(starts: Numbers, stops: Numbers) -> list[Numbers]:
    """The groups that are left when straight cuts go across a dimension wherever they can; none if none can."""
    for axis in range(starts.shape[1]):
        order = np.argsort(starts[:, axis], kind="stable")
        reached = np.maximum.accumulate(stops[order, axis])
        cuts = np.flatnonzero(starts[order[1:], axis] >= reached[:-1]) + 1
        if len(cuts):
            return np.split(order, cuts)
    return []


def _compare(starts: Numbers, stops: Numbers) -> tuple[int, int] | None:
    for position in range(len(starts) - 1):
        shared = (starts[position + 1 :] < stops[position]) & (starts[position] < stops[position + 1 :])
        found = np.flatnonzero(shared.all(axis=1))
        if len(found):
            return position, position + 1 + int(found[0])
    return None
