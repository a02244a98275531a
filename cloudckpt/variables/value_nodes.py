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
"""Larger values are not embedded in a graph, which is written beside each checkpoint."""


def add_value(graph: Graph, name: str, array: NDArray[Any]) -> Tensor:
    """A node that gives an array: a Const; of a large one a Placeholder, whose value stays beside the graph.

    Args:
        graph: where to add it.
        name: as `Graph.add_operation` takes it.
        array: must not be changed any more.
    """
    data_type = dtypes.data_type_of(array)
    if _bytes_embedded(array) <= EMBEDDED_BYTES:
        return Tensor(graph.add_operation("Const", name, attrs={"dtype": data_type, "value": array}), 0)
    operation = graph.add_operation("Placeholder", name, attrs={"dtype": data_type, "shape": array.shape})
    graph.values_beside[operation.name] = array
    return Tensor(operation, 0)


def value_beside(tensor: Tensor) -> NDArray[Any] | None:
    """The array that such a node gives; None if the tensor is computed by anything else."""
    value = tensor.op.attrs.get("value") if tensor.op.type == "Const" else None
    return value if isinstance(value, np.ndarray) else tensor.graph.values_beside.get(tensor.op.name)


def _bytes_embedded(array: NDArray[Any]) -> int:
    return sum(map(len, array.flat)) if array.dtype == object else array.nbytes
