"""Constant nodes: the strings and numbers that a saver's nodes take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.tensor_names import encode_name
from cloudckpt.variables.dtypes import DataType, data_type_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["add_constant", "add_string", "add_strings"]


def add_constant(graph: Graph, value: NDArray[Any], name: str = "Const") -> Operation:
    """A Const of the array, which is kept, not copied."""
    return graph.add_operation("Const", name, attrs={"dtype": DataType(data_type_of(value)), "value": value})


def add_string(graph: Graph, value: str, name: str = "Const") -> Operation:
    """A Const of one string."""
    return add_constant(graph, np.array(encode_name(value), dtype=object), name)


def add_strings(graph: Graph, values: Sequence[str], name: str = "Const") -> Operation:
    """A Const of a vector of strings."""
    array = np.empty(len(values), dtype=object)
    array[:] = [encode_name(value) for value in values]
    return add_constant(graph, array, name)
