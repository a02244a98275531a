"""Shapes as a graph has them: TensorShapeProto to and from tuples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK, UnknownRank
from cloudckpt.variables.tensor_slice import MAX_RANK

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PartialShape", "decode_shape", "encode_shape"]

PartialShape = tuple[int | None, ...] | UnknownRank
"""A shape that a graph may know only in part: None for a dimension that it does not."""


def encode_shape(message: Any, shape: Sequence[int | None] | UnknownRank) -> None:
    """Set a TensorShapeProto, which is empty so far."""
    if isinstance(shape, UnknownRank):
        message.unknown_rank = True
        return
    # A scalar's is empty, and yet it is there.
    message.SetInParent()
    for size in shape:
        message.dim.add(size=-1 if size is None else size)


def decode_shape(message: Any) -> PartialShape:
    """The shape that a TensorShapeProto says.

    Raises:
        InvalidArgumentError: it has more dimensions than TensorFlow's tensors can have, or one smaller than -1.
    """
    if message.unknown_rank:
        return UNKNOWN_RANK
    if len(message.dim) > MAX_RANK:
        raise InvalidArgumentError(f"a shape of {len(message.dim)} dimensions: at most {MAX_RANK} are possible")
    sizes = [dim.size for dim in message.dim]
    if any(size < -1 for size in sizes):
        raise InvalidArgumentError(f"a shape has a dimension of size {min(sizes)}: 0 is the least, or -1 for unknown")
    return tuple(None if size == -1 else size for size in sizes)
