"""A tensor of which a save is given some slices instead of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.dtypes import data_type_of, python_name
from cloudckpt.variables.overlap import find_overlap
from cloudckpt.variables.tensor_slice import format_shape_and_slice, region_shape, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType
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

    @property
    def dtype(self) -> DataType:
        """TensorFlow's, if the parts have been checked."""
        return data_type_of(next(iter(self.parts.values())))

    def check(self, name: str) -> None:
        """See that the parts are slices of such a tensor.

        Args:
            name: the tensor's, for messages.

        Raises:
            TypeError: a part is of no type that TensorFlow has.
            InvalidArgumentError: there are none, one is not in the tensor or not of its array's shape, they are of
                several dtypes, or two overlap (or are so cut that it would take too long to tell).
        """
        try:
            self._check_places()
            self._check_dtypes()
        except TypeError as error:
            raise TypeError(f"tensor {name!r} can't be saved: {error}") from error
        except ValueError as error:
            raise InvalidArgumentError(f"tensor {name!r} can't be saved: {error}", tensor=name) from error

    def _check_places(self) -> None:
        if not self.parts:
            raise ValueError("it has no slices, so nothing says its dtype")
        regions = {}
        for where, part in self.parts.items():
            regions[where] = resolve(where, self.shape)
            if region_shape(regions[where]) != part.shape:
                raise ValueError(f"the array of its slice {self._spec(where)} has shape {part.shape}")
            if any(length == 0 for _, length in where):
                raise ValueError(f"its slice {self._spec(where)} is empty")
        if (pair := find_overlap([*regions.values()])) is not None:
            one, other = (self._spec([*regions][position]) for position in pair)
            raise ValueError(f"its slices {one} and {other} overlap")

    def _check_dtypes(self) -> None:
        found = {python_name(data_type_of(part)) for part in self.parts.values()}
        if len(found) > 1:
            raise ValueError(f"its slices are of {' and '.join(sorted(found))}")

    def _spec(self, tensor_slice: TensorSlice) -> str:
        return repr(format_shape_and_slice(self.shape, tensor_slice))
