"""What operators on a variable give within its graph's block: nodes that compute, for a session to run.

They are few: what a program does to the variables that it saves beside its model, as `step.assign(step + 1)` and
`rate.assign(rate * 0.9)`. An array of the value from before the session would be silently wrong in their place.

Names, inputs and attributes are those of TensorFlow 2.21 (python/ops/math_ops.py; found by looking at its graphs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from cloudckpt.variables.conversion import sealed_copy
from cloudckpt.variables.dtypes import DataType, python_name
from cloudckpt.variables.graphs.default_graph import get_default_graph
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.value_nodes import add_value
from cloudckpt.variables.variable_properties import VariableProperties

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["add_computed"]

_REAL: Final = frozenset(
    {DataType.BFLOAT16, DataType.HALF, DataType.FLOAT, DataType.DOUBLE, DataType.COMPLEX64, DataType.COMPLEX128}
)
_SIGNED: Final = _REAL | {DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64}
_NUMBERS: Final = _SIGNED | {DataType.UINT8, DataType.UINT16, DataType.UINT32, DataType.UINT64}


class _Node(NamedTuple):
    type: str
    name: str
    data_types: frozenset[DataType]


_NODES: Final[Mapping[np.ufunc, _Node]] = {
    np.add: _Node("AddV2", "add", _NUMBERS),
    np.subtract: _Node("Sub", "sub", _NUMBERS),
    np.multiply: _Node("Mul", "mul", _NUMBERS),
    np.true_divide: _Node("RealDiv", "truediv", _REAL),  # of integers TensorFlow casts first
    np.negative: _Node("Neg", "Neg", _SIGNED),
}


def add_computed(ufunc: np.ufunc, operands: Sequence[Any]) -> Tensor:
    """Add the node that an operator is to the default graph.

    Args:
        ufunc: of NumPy's, for the operator.
        operands: at least one a variable of the graph; beside it tensors and variables of the graph, and arrays or what
            becomes one.

    Raises:
        TypeError: there is no such node, or none of that dtype; or an operand can't be of the dtype.
        ValueError: an operand is of another graph.
    """
    graph = get_default_graph()
    data_type = next(each.data_type for each in operands if _in_graph(each))
    node = _NODES.get(ufunc)
    if node is None or data_type not in node.data_types:
        raise TypeError(
            f"{ufunc.__name__} of a variable of {python_name(data_type)} is not computed within a graph's block, where "
            "+, -, * and / give what a session runs: take session.run(variable) or variable.numpy(), and compute with "
            "that"
        )
    with graph.name_scope(node.name) as scope:
        inputs = [_operand(graph, each, data_type, name) for each, name in zip(operands, "xy", strict=False)]
        return Tensor(graph.add_operation(node.type, scope, inputs=inputs, attrs={"T": data_type}), 0)


def _in_graph(value: Any) -> bool:
    return isinstance(value, VariableProperties) and value.graph is not None


def _operand(graph: Graph, given: Any, data_type: DataType, name: str) -> Tensor:
    value = given.snapshot if _in_graph(given) else given
    if not isinstance(value, Tensor):
        return add_value(graph, name, sealed_copy(value, data_type))
    if value.graph is not graph:
        raise ValueError(f"{given!r} is of another graph than the default one")
    if value.dtype is not None and value.dtype != data_type:
        raise TypeError(f"{given!r} is of {value.dtype.name}, and what it is computed with of {python_name(data_type)}")
    return value
