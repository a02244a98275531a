"""The nodes that put the parts of a variable together, as TensorFlow makes them (ops/variables.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.value_nodes import add_value

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_concatenation"]


def add_concatenation(name: str, parts: Sequence[Tensor], axis: int, data_type: DataType) -> Tensor:
    """A tensor of several along a dimension, which waits for nothing that the blocks around ask for.

    Args:
        name: of the whole variable, which the tensor has for its own.
        parts: at least one, in order, of one graph.
        axis: the dimension.
        data_type: of their elements.
    """
    graph = parts[0].graph
    whole = parts[0]
    with graph.control_dependencies(None), graph.name_scope(None):
        if len(parts) > 1:
            with graph.name_scope(f"{name}/ConcatPartitions/"), graph.name_scope("concat") as scope:
                along = add_value(graph, "axis", np.array(axis, np.int32))
                attrs = {"N": len(parts), "T": data_type, "Tidx": DataType.INT32}
                whole = Tensor(graph.add_operation("ConcatV2", scope, inputs=(*parts, along), attrs=attrs), 0)
        return Tensor(graph.add_operation("Identity", name, inputs=(whole,), attrs={"T": data_type}), 0)
