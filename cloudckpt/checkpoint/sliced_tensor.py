"""A tensor of which a save is given some slices instead of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.tensor_slice import Region, format_shape_and_slice, intersect, region_shape, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["SlicedTensor"]


@dataclass(frozen=True, slots=True)
class SlicedTensor:
    """Some slices of a tensor, as one partitioned variable or one process of several holds them.

    They may leave elements out, which other saves that are merged with this one bring.
    """

    shape: tuple[int, ...]
    """the whole tensor's"""
    parts: Mapping[TensorSlice, NDArray[Any]]
    """arrays of one dtype, each of its slice's shape; no two overlap"""

    @property
    def whole(self) -> NDArray[Any] | None:
        """The only part, if it is the whole tensor: TensorFlow stores it like one that was never sliced."""
        parts = [*self.parts.values()]
        return parts[0] if len(parts) == 1 and parts[0].shape == self.shape else None

    def check(self) -> None:
        """See that the parts are slices of such a tensor.

        Raises:
            ValueError: there are none, one is not in the tensor or not of its array's shape, or two overlap.
        """
        if not self.parts:
            raise ValueError("it has no slices, so nothing says its dtype")
        regions = {}
        for where, part in self.parts.items():
            regions[where] = resolve(where, self.shape)
            if region_shape(regions[where]) != part.shape:
                raise ValueError(f"the array of its slice {self._spec(where)} has shape {part.shape}")
            if any(length == 0 for _, length in where):
                raise ValueError(f"its slice {self._spec(where)} is empty")
        if (pair := _overlapping(regions.items())) is not None:
            raise ValueError(f"its slices {self._spec(pair[0])} and {self._spec(pair[1])} overlap")

    def _spec(self, tensor_slice: TensorSlice) -> str:
        return repr(format_shape_and_slice(self.shape, tensor_slice))


def _overlapping(slices: Iterable[tuple[TensorSlice, Region]]) -> tuple[TensorSlice, TensorSlice] | None:
    """Two slices that share elements, if there are any.

    Swept along the dimension in which they begin at the most places: each is compared with those only that reach
    beyond its beginning there, which for a tensor cut along one dimension are none.
    """
    regions = [(region, where) for where, region in slices]
    rank = len(regions[0][0])
    axis = max(range(rank), key=lambda axis: len({region[axis][0] for region, _ in regions}), default=None)
    if axis is None:
        return (regions[0][1], regions[1][1]) if len(regions) > 1 else None
    reaching: list[tuple[Region, TensorSlice]] = []
    for region, where in sorted(regions, key=lambda item: item[0][axis]):
        reaching = [other for other in reaching if sum(other[0][axis]) > region[axis][0]]
        for other_region, other in reaching:
            if intersect(region, other_region) is not None:
                return other, where
        reaching.append((region, where))
    return None
