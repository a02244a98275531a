"""Which slice of a larger tensor a variable is, and so how a checkpoint holds it.

Source: python/ops/variables.py, SaveSliceInfo; the spec's form is core/util/saved_tensor_slice_util.cc's.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.tensor_slice import format_shape_and_slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.variables.tensor_slice import Region

__all__ = ["SaveSliceInfo", "save_slice_info_of"]

_NUMBERS = ("full_shape", "var_offset", "var_shape")


@dataclass(frozen=True, slots=True)
class SaveSliceInfo:
    """That a variable is a slice of the tensor `full_name` of a checkpoint.

    Args:
        full_name: the whole tensor's name in the checkpoint.
        full_shape: its shape.
        var_offset: where in it the variable starts, along each dimension.
        var_shape: the variable's own shape.

    Raises:
        TypeError: a shape or offset is no sequence of integers.
        ValueError: the slice is not within the whole.
    """

    full_name: str
    full_shape: Sequence[int]
    var_offset: Sequence[int]
    var_shape: Sequence[int]

    def __post_init__(self) -> None:
        for field in _NUMBERS:
            object.__setattr__(self, field, tuple(operator.index(number) for number in getattr(self, field)))
        if not len(self.full_shape) == len(self.var_offset) == len(self.var_shape) or not all(
            0 <= offset <= offset + length <= size
            for offset, length, size in zip(self.var_offset, self.var_shape, self.full_shape, strict=True)
        ):
            raise ValueError(
                f"a slice of shape {self.var_shape} at {self.var_offset} is not within a tensor of shape "
                f"{self.full_shape}: {self.full_name!r}"
            )

    @property
    def spec(self) -> str:
        """The slice as save and restore ops take it: "4 3 0,2:0,3" is the first two rows of a 4x3 matrix."""
        return format_shape_and_slice(self.full_shape, self.region)

    @property
    def region(self) -> Region:
        """Start and length along each dimension."""
        return tuple(zip(self.var_offset, self.var_shape, strict=True))


def save_slice_info_of(thing: Any) -> SaveSliceInfo | None:
    """What somebody's variable says of itself, as TensorFlow's do in `_save_slice_info`; None where it says nothing.

    Raises:
        TypeError, ValueError: it says something that is no slice, as `SaveSliceInfo`.
    """
    info = getattr(thing, "save_slice_info", None)
    info = getattr(thing, "_save_slice_info", None) if info is None else info
    if info is None or isinstance(info, SaveSliceInfo):
        return info
    return SaveSliceInfo(info.full_name, info.full_shape, info.var_offset, info.var_shape)
