"""Nodes that give a value which was there when the graph was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cloudckpt.variables import dtypes
from cloudckpt.variables.graphs.operation import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["EMBEDDED_BYTES", "add_value", "value_beside"]

EMBEDDED_BYTES: Final = 16 * 1024
"""Larger values are not embedded in a graph, which is written beside each checkpoint, unless one element says all."""


def add_value(graph: Graph, name: str, array: NDArray[Any]) -> Tensor:
    """A node that gives an array: a Const; of a large one a Placeholder, whose value stays beside the graph.

    A large one whose elements are all the same, zeros above all, is a Const with that one element, in the graph's file.

    Args:
        graph: where to add it.
        name: as `Graph.add_operation` takes it.
        array: must not be changed any more.
    """
    data_type = dtypes.data_type_of(array)
    if _bytes_embedded(array) <= EMBEDDED_BYTES:
        return Tensor(graph.add_operation("Const", name, attrs={"dtype": data_type, "value": array}), 0)
    if _is_uniform(array):
        one = np.broadcast_to(array.reshape(-1)[:1].reshape(()), array.shape)
        operation = graph.add_operation("Const", name, attrs={"dtype": data_type, "value": one})
    else:
        operation = graph.add_operation("Placeholder", name, attrs={"dtype": data_type, "shape": array.shape})
    graph.values_beside[operation.name] = array
    return Tensor(operation, 0)


def value_beside(tensor: Tensor) -> NDArray[Any] | None:
    """The array that such a node gives; None if the tensor is computed by anything else."""
    if (beside := tensor.graph.values_beside.get(tensor.op.name)) is not None:
        return beside
    value = tensor.op.attrs.get("value") if tensor.op.type == "Const" else None
    return value if isinstance(value, np.ndarray) else None


def _bytes_embedded(array: NDArray[Any]) -> int:
    return sum(map(len, array.flat)) if array.dtype == object else array.nbytes


def _is_uniform(array: NDArray[Any]) -> bool:
    """Whether all elements have the same bits. Looks no further than the first block that says no."""
    if array.dtype == object or not array.flags.c_contiguous:
        return False
    elements = array.reshape(-1)
    block = elements[: EMBEDDED_BYTES // elements.itemsize]
    pattern = block[:1].tobytes() * len(block)
    blocks = (elements[start : start + len(block)].tobytes() for start in range(0, len(elements), len(block)))
    return all(pattern.startswith(block) for block in blocks)
