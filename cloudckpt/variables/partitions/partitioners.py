"""How many parts a variable is cut into, along one dimension: functions of its shape and dtype.

Source: python/ops/partitioned_variables.py.
"""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING, Any, Protocol

from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.dtypes import DataType, to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Partitioner",
    "fixed_size_partitioner",
    "min_max_variable_partitioner",
    "variable_axis_size_partitioner",
]


class Partitioner(Protocol):
    """What `get_variable` takes as `partitioner`."""

    def __call__(self, *, shape: tuple[int, ...], dtype: Any) -> Sequence[int]:
        """The number of parts along each dimension, of which at most one may be more than 1."""


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """A partitioner into a number of parts, or one a row where the variable has fewer rows.

    Args:
        num_shards: the number of parts.
        axis: the dimension to cut along.
    """

    def partitioner(*, shape: tuple[int, ...], dtype: Any) -> list[int]:  # noqa: ARG001 - as Partitioner
        return _along(axis, min(num_shards, shape[axis]), shape)

    return partitioner


def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16, max_shards: int | None = None
) -> Partitioner:
    """A partitioner into as few parts as have at most so many bytes each; a row is never cut.

    Args:
        max_shard_bytes: of a part of more than one row.
        axis: the dimension to cut along.
        bytes_per_string_element: what a text is taken to have.
        max_shards: the most parts, whatever their size; None or 0 for no limit.

    Raises:
        ValueError: one of the numbers is not positive.
    """
    if max_shard_bytes < 1 or bytes_per_string_element < 1 or (max_shards or 1) < 1:
        raise ValueError(
            f"max_shard_bytes, bytes_per_string_element and max_shards must be positive: got {max_shard_bytes}, "
            f"{bytes_per_string_element} and {max_shards}"
        )

    def partitioner(*, shape: tuple[int, ...], dtype: Any) -> list[int]:
        size = shape[axis]
        row_bytes = prod(shape) // max(size, 1) * _element_bytes(dtype, bytes_per_string_element)
        rows_per_part = max(1, int(max_shard_bytes // max(row_bytes, 1)))
        parts = ceil(size / rows_per_part)
        return _along(axis, min(max_shards, parts) if max_shards else parts, shape)

    return partitioner


def min_max_variable_partitioner(
    max_partitions: int = 1, axis: int = 0, min_slice_size: int = 256 << 10, bytes_per_string_element: int = 16
) -> Partitioner:
    """A partitioner into as many parts as have about so many bytes each, and no more than a number of them.

    Args:
        max_partitions: the most parts.
        axis: the dimension to cut along.
        min_slice_size: bytes of a part, but for rounding.
        bytes_per_string_element: what a text is taken to have.

    Raises:
        ValueError: from the partitioner: the variable has no such dimension.
    """

    def partitioner(*, shape: tuple[int, ...], dtype: Any) -> list[int]:
        if axis >= len(shape):
            raise ValueError(f"a variable of shape {shape} can't be cut along dimension {axis}: it has {len(shape)}")
        parts = ceil(prod(shape) * _element_bytes(dtype, bytes_per_string_element) / min_slice_size)
        return _along(axis, max(1, min(shape[axis], max_partitions, parts)), shape)

    return partitioner


def _along(axis: int, parts: int, shape: tuple[int, ...]) -> list[int]:
    partitions = [1] * len(shape)
    partitions[axis] = parts
    return partitions


def _element_bytes(dtype: Any, bytes_per_string_element: int) -> int:
    data_type = data_type_argument(dtype, "dtype")
    return bytes_per_string_element if data_type is DataType.STRING else to_numpy(data_type).itemsize
