"""Slices of tensors: the geometry, and the specs in which TensorFlow writes them, such as "4 4 0,2:-".

Sources: core/framework/tensor_slice.cc; core/util/saved_tensor_slice_util.cc, ParseShapeAndSlice.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "INT64_MAX",
    "MAX_RANK",
    "Region",
    "TensorSlice",
    "as_index",
    "format_shape_and_slice",
    "full_slice",
    "intersect",
    "is_full",
    "parse_shape_and_slice",
    "region_shape",
    "resolve",
    "within",
]

TensorSlice = tuple[tuple[int, int | None], ...]
"""A piece of a tensor: start and length along each dimension, (0, None) for the whole of one."""
Region = tuple[tuple[int, int], ...]
"""A piece of a tensor of known shape: start and length along each dimension."""

INT64_MAX = 2**63 - 1
MAX_RANK = 254
"""Dimensions that a TensorShape has at most."""
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*", re.ASCII)


def parse_shape_and_slice(spec: str) -> tuple[tuple[int, ...], TensorSlice]:
    """The shape of the whole tensor, and the slice, from a spec: "4 4 0,2:-" is the first two rows of a 4x4 matrix.

    Raises:
        ValueError: it is none, or its slice is not in its shape.
    """
    *dims, slice_spec = spec.split(" ")
    if not dims:
        raise ValueError(f"{spec!r} is no shape and slice: expected dimensions, then a slice, as in '4 4 0,2:-'")
    shape = tuple(_parse_dim(dim, spec) for dim in dims)
    if len(shape) > MAX_RANK or prod(shape) > INT64_MAX:
        raise ValueError(f"the shape in {spec[:80]!r} is larger than any tensor's can be")
    tensor_slice = tuple(_parse_extent(extent, spec) for extent in slice_spec.split(":") if extent)
    try:
        resolve(tensor_slice, shape)
    except ValueError as error:
        raise ValueError(f"{spec!r}: {error}") from None
    return shape, tensor_slice


def format_shape_and_slice(shape: Sequence[int], tensor_slice: TensorSlice) -> str:
    """The spec of a slice of a tensor; `parse_shape_and_slice` gives both back."""
    extents = ["-" if length is None else f"{start},{length}" for start, length in tensor_slice]
    return " ".join([*map(str, shape), ":".join(extents)])


def full_slice(rank: int) -> TensorSlice:
    """The slice that is the whole of a tensor, whatever its shape."""
    return ((0, None),) * rank


def is_full(tensor_slice: TensorSlice) -> bool:
    """Whether a slice is the whole tensor whatever its shape; one that covers a shape by its numbers is not."""
    return all(length is None for _, length in tensor_slice)


def resolve(tensor_slice: TensorSlice, shape: Sequence[int]) -> Region:
    """The region that a slice is in a tensor of this shape.

    Raises:
        ValueError: it has another number of dimensions, or ends beyond one.
    """
    if len(tensor_slice) != len(shape):
        raise ValueError(f"a slice of {len(tensor_slice)} dimensions can't be of a tensor of {len(shape)}")
    region = tuple(
        (start, size - start if length is None else length)
        for (start, length), size in zip(tensor_slice, shape, strict=True)
    )
    for dimension, ((start, length), size) in enumerate(zip(region, shape, strict=True)):
        if start < 0 or length < 0 or start + length > size:
            raise ValueError(
                f"the slice {format_shape_and_slice(shape, tensor_slice)!r} is not within dimension {dimension}: "
                f"elements {start} to {start + length} of {size}"
            )
    return region


def region_shape(region: Region) -> tuple[int, ...]:
    """The shape of an array of a region's elements."""
    return tuple([length for _, length in region])


def as_index(region: Region) -> tuple[slice, ...]:
    """The region as an index of NumPy's into an array of the whole tensor."""
    return tuple([slice(start, start + length) for start, length in region])


def within(region: Region, outer: Region) -> tuple[Any, ...]:
    """The region as an index of NumPy's into an array of the elements of another one that contains it.

    What it gives is a view, also where there are no dimensions.
    """
    offsets = ((start - first, length) for (start, length), (first, _) in zip(region, outer, strict=True))
    return (*[slice(offset, offset + length) for offset, length in offsets], ...)


def intersect(a: Region, b: Region) -> Region | None:
    """The elements that two regions of one tensor share; None if there are none."""
    shared = []
    for (a_start, a_length), (b_start, b_length) in zip(a, b, strict=True):
        start, stop = max(a_start, b_start), min(a_start + a_length, b_start + b_length)
        if start >= stop:
            return None
        shared.append((start, stop - start))
    return tuple(shared)


def _parse_dim(text: str, spec: str) -> int:
    size = _parse_int64(text)
    if size is None or size < 0:
        raise ValueError(f"{text!r} is no dimension of a shape in {spec!r}")
    return size


def _parse_extent(text: str, spec: str) -> tuple[int, int | None]:
    if text == "-":
        return 0, None
    match [_parse_int64(number) for number in text.split(",") if number]:
        case [int(start), int(length)] if start >= 0 and length > 0:
            return start, length
    raise ValueError(f"{text!r} is neither 'start,length' (not negative, and positive) nor '-' in {spec!r}")


def _parse_int64(text: str) -> int | None:
    """The number as TensorFlow's strings::safe_strto64 reads it; None if it is none."""
    if (match := _NUMBER.fullmatch(text)) is None or len(text) > 100:
        return None
    number = int(match[1])
    return number if -INT64_MAX - 1 <= number <= INT64_MAX else None
