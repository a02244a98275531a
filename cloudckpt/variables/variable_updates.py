"""Assignments to a variable within its graph, for a session to run."""

from __future__ import annotations

from typing import Any

from cloudckpt.variables.conversion import sealed_copy
from cloudckpt.variables.graphs.default_graph import get_default_graph
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.shape import compatible
from cloudckpt.variables.value_nodes import add_value
from cloudckpt.variables.variable_nodes import add_assignment
from cloudckpt.variables.variable_properties import VariableProperties

__all__ = ["add_update"]


def add_update(
    variable: VariableProperties,
    operation: Operation,
    type: str,
    value: Any,
    *,
    use_locking: bool,
    name: str | None,
    validate_shape: bool = True,
) -> Operation:
    """Add the nodes of an assignment to the default graph, which must be the variable's.

    Args:
        variable: what is assigned to.
        operation: its operation.
        type: "Assign", "AssignAdd" or "AssignSub".
        value: an array or what becomes one; or a tensor or variable of the graph.
        use_locking: as the op's.
        name: of the node; that of the op if None.
        validate_shape: whether the value must be of the variable's shape.

    Raises:
        ValueError: the variable or the value is of another graph; or the value is of another shape.
        TypeError: the value can't be of the variable's dtype, or a tensor is of another one.
    """
    graph = get_default_graph()
    if operation.graph is not graph:
        raise ValueError(f"variable {variable.name!r} is of another graph than the default one")
    with graph.name_scope(type if name is None else name) as scope:
        tensor = _value_tensor(variable, value)
        if validate_shape and not compatible(variable.shape, tensor.shape):
            raise ValueError(f"variable {variable.name!r} has shape {variable.shape}, the value {tensor.shape}")
        return add_assignment(
            operation,
            variable.data_type,
            tensor,
            scope,
            type=type,
            use_locking=use_locking,
            validate_shape=validate_shape,
        )


def _value_tensor(variable: VariableProperties, value: Any) -> Tensor:
    graph = get_default_graph()
    tensor = value.snapshot if isinstance(value, VariableProperties) and value.graph is not None else value
    if not isinstance(tensor, Tensor):
        return add_value(graph, "value", sealed_copy(value, variable.data_type))
    if tensor.graph is not graph:
        raise ValueError(f"{value!r} is of another graph than the default one")
    if tensor.dtype not in (None, variable.dtype):
        raise TypeError(f"variable {variable.name!r} is of {variable.dtype.name}, and {value!r} of {tensor.dtype.name}")
    return tensor
