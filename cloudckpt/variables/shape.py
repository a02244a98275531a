"""Shapes of which parts may be unknown: None for a dimension, and None for a whole shape."""

from __future__ import annotations

import operator
from math import prod
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cloudckpt.variables.graphs.operation import Operation

__all__ = [
    "UNKNOWN_RANK",
    "PartialShape",
    "Shape",
    "UnknownRank",
    "compatible",
    "declared_shape",
    "fully_defined",
    "known_shape",
    "partial_shape",
    "shape_attr",
    "shape_of",
]

PartialShape = tuple[int | None, ...] | None


class Shape(tuple[int | None, ...]):
    """A shape whose rank is known: a tuple, which also has the methods of TensorFlow's that programs use."""

    __slots__ = ()

    @property
    def ndims(self) -> int:
        """The number of dimensions."""
        return len(self)

    rank = ndims

    def as_list(self) -> list[int | None]:
        """The dimensions as a list."""
        return list(self)

    def num_elements(self) -> int | None:
        """How many elements a tensor of the shape has; None if a dimension is unknown."""
        return None if None in self else prod(self)  # type: ignore[arg-type]  # no None is left

    def is_fully_defined(self) -> bool:
        """Whether all dimensions are known."""
        return None not in self


def known_shape(shape: PartialShape) -> Shape | None:
    """A shape as programs get it; None if not even its rank is known."""
    return None if shape is None else Shape(shape)


class UnknownRank:
    """The type of `UNKNOWN_RANK`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN_RANK"


UNKNOWN_RANK: Final = UnknownRank()
"""A shape of which nothing is known, not even the rank; TensorFlow's `TensorShape(None)`."""


def partial_shape(shape: Any) -> PartialShape:
    """A shape as a caller gives it: a number, a sequence of numbers and None, `UNKNOWN_RANK`, or TensorFlow's.

    Raises:
        TypeError: it is none of these.
        ValueError: a dimension is negative.
    """
    if isinstance(shape, UnknownRank) or getattr(shape, "rank", 0) is None:
        return None
    try:
        dimensions = [operator.index(shape)]
    except TypeError:  # arrays have `__index__` whatever their shape
        dimensions = shape
    return tuple(map(_dimension, dimensions))


def _dimension(value: Any) -> int | None:
    value = getattr(value, "value", value)
    if value is None:
        return None
    number = operator.index(value)
    if number < 0:
        raise ValueError(f"a dimension can't be {number}: None stands for an unknown one")
    return number


def shape_attr(shape: PartialShape) -> object:
    """A shape as an attribute of an operation."""
    return UNKNOWN_RANK if shape is None else shape


def shape_of(thing: Any) -> PartialShape:
    """The shape that a variable or array says it has, as far as it says one."""
    try:
        return partial_shape(thing.shape)
    except (AttributeError, TypeError, ValueError):  # it says nothing that is a shape
        return None


def fully_defined(shape: PartialShape) -> bool:
    """Whether all of it is known."""
    return shape is not None and None not in shape


def compatible(declared: PartialShape, shape: PartialShape) -> bool:
    """Whether an array may be of both shapes, as far as they are known."""
    if declared is None or shape is None:
        return True
    return len(declared) == len(shape) and all(
        one == other or None in (one, other) for one, other in zip(declared, shape, strict=True)
    )


def declared_shape(operation: Operation) -> PartialShape:
    """The shape that an operation says its tensor has, or is a constant of; None if it says none, or none is known."""
    value = operation.attrs.get("value")
    shape = operation.attrs.get("shape") if value is None else getattr(value, "shape", None)
    return shape if isinstance(shape, tuple) else None
