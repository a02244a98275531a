"""What an index of NumPy's selects of a tensor that is not in memory: the region to read, and an index into that."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import EllipsisType
    from typing import Any

    from numpy.typing import NDArray

    from cloudckpt.variables.tensor_slice import Region

    Item = SupportsIndex | slice | EllipsisType | None

__all__ = ["Selection", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What an index selects: the smallest region of neighbouring elements that covers it, and the index within that."""

    region: Region
    within: tuple[Item, ...]
    skips: bool
    """whether elements between the selected ones are read too, because a step is larger than one"""

    def take(self, array: NDArray[Any]) -> Any:
        """The selected elements of the region's; what NumPy returns for the index: an array, or an element.

        An array that is much smaller than the region's is a copy, so that it does not hold the memory of both.
        """
        taken = array[self.within]
        return taken.copy() if self.skips else taken


def select(index: object, shape: Sequence[int]) -> Selection:
    """What a basic index selects of a tensor of this shape: integers, slices with any step, `...`, and None.

    Raises:
        IndexError: it has too many dimensions or elements out of range, as NumPy says, or is no basic index: arrays
            and lists of indices, and masks, would need all of the tensor.
    """
    region: list[tuple[int, int]] = []
    within: list[Item] = []
    skips = False
    for item, sizes in _per_dimension(index, shape):
        if item is None or item is Ellipsis:
            region += [(0, size) for size in sizes]
            within.append(item)
        elif isinstance(item, slice):
            extent, step = _cover(item, sizes[0])
            region.append(extent)
            within.append(slice(None, None, step))
            skips |= abs(step) > 1
        else:
            region.append((_position(item, sizes[0], len(region)), 1))
            within.append(0)
    return Selection(tuple(region), tuple(within), skips)


def _per_dimension(index: object, shape: Sequence[int]) -> Iterator[tuple[Item, Sequence[int]]]:
    """Every item of an index with the dimensions that it is about: one, none for None, any number for `...`."""
    items = [_checked(item) for item in (index if isinstance(index, tuple) else (index,))]
    named = sum(item is not None and item is not Ellipsis for item in items)
    if named > len(shape):
        raise IndexError(f"too many indices: the tensor has {len(shape)} dimensions, the index {named}")
    ellipses = sum(item is Ellipsis for item in items)
    if ellipses > 1:
        raise IndexError("an index can have a single ellipsis ('...') only")
    position = 0
    for item in chain(items, repeat(slice(None), 0 if ellipses else len(shape) - named)):
        count = 0 if item is None else len(shape) - named if item is Ellipsis else 1
        yield item, shape[position : position + count]
        position += count


def _checked(item: object) -> Item:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    # bool has __index__, and means a mask to NumPy.
    if isinstance(item, SupportsIndex) and not isinstance(item, bool | np.bool_ | np.ndarray):
        return item
    raise IndexError(
        f"a stored tensor takes integers, slices, '...' and None as indices, not {type(item).__name__}: read it whole "
        "with [...], then index the array"
    )


def _cover(item: slice, size: int) -> tuple[tuple[int, int], int]:
    """The start and length of what a slice covers, and the step to go through it."""
    selected = range(*item.indices(size))
    if not selected:
        return (0, 0), 1
    low, high = sorted((selected[0], selected[-1]))
    return (low, high - low + 1), selected.step


def _position(item: SupportsIndex, size: int, dimension: int) -> int:
    position = operator.index(item)
    if not -size <= position < size:
        raise IndexError(f"index {position} is out of bounds for dimension {dimension} of size {size}")
    return position % size
