"""A whole variable's shape, cut into slices as a partitioner says.

Source: python/ops/variable_scope.py, _call_partitioner and _iter_slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.variables.partitions.partitioners import Partitioner
    from cloudckpt.variables.shape import PartialShape

__all__ = ["partitions_of", "slices_of"]


def partitions_of(name: str, shape: PartialShape, dtype: Any, partitioner: Partitioner) -> list[int]:
    """The number of parts along each dimension that a partitioner wants for a variable.

    Raises:
        ValueError: the shape is not fully known, or a scalar's; or what the partitioner gives is not one positive
            number for each dimension, at most one of them more than 1.
    """
    whole = tuple(size for size in shape or () if size is not None)
    if not whole or whole != shape:
        raise ValueError(f"{name!r} can't be cut into parts: its shape must be known and have a dimension, got {shape}")
    if not callable(partitioner):
        raise ValueError(  # noqa: TRY004 - as TensorFlow
            f"the partitioner of {name!r} must be callable, got {partitioner!r}"
        )
    partitions: Any = partitioner(shape=whole, dtype=dtype)
    if (
        not isinstance(partitions, Sequence)
        or len(partitions) != len(whole)
        or any(parts < 1 for parts in partitions)
        or sum(parts > 1 for parts in partitions) > 1
    ):
        raise ValueError(
            f"the partitioner of {name!r} must give a positive number for each dimension of {whole}, at most one of "
            f"them more than 1, got {partitions!r}"
        )
    return list(partitions)


def slices_of(name: str, shape: Sequence[int], partitions: Sequence[int]) -> Iterator[SaveSliceInfo]:
    """The slices in order; those before the remainder have one row more.

    Raises:
        ValueError: there are more parts than rows.
    """
    axis = next((axis for axis, parts in enumerate(partitions) if parts > 1), 0)
    rows, remainder = divmod(shape[axis], partitions[axis])
    if rows == 0 or 0 in shape:
        raise ValueError(f"{name!r}, of shape {tuple(shape)}, can't be cut into {partitions} parts that have elements")
    offset, part_shape = [0] * len(shape), list(shape)
    for part in range(partitions[axis]):
        part_shape[axis] = rows + (part < remainder)
        yield SaveSliceInfo(name, shape, offset, part_shape)
        offset[axis] += part_shape[axis]
