"""The nodes of a variable, as TensorFlow makes them (ops/ref_variable.py; by handle resource_variable_ops.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.variables.dtypes import data_type_of
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.handle_nodes import (
    HANDLES_ONLY,
    add_handle,
    add_handle_assignment,
    add_handle_read,
    is_handle,
)
from cloudckpt.variables.shape import PartialShape, shape_attr
from cloudckpt.variables.value_nodes import add_value, value_beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.initial_value import DeclaredShape, InitialValue

__all__ = ["VariableNodes", "add_assignment", "add_variable_nodes", "colocation"]


@dataclass(frozen=True, slots=True)
class VariableNodes:
    """What a variable is in a graph.

    Attributes:
        variable: holds the value, in a session.
        initial_value: what the initializer assigns; None where an imported graph does not say.
        initializer: the Assign of the initial value; None likewise.
        snapshot: the value read once, "w/read:0"; None likewise.
    """

    variable: Operation
    initial_value: Tensor | None
    initializer: Operation | None
    snapshot: Tensor | None


def colocation(operation: str) -> dict[str, object]:
    """The attribute that keeps a node on the device of an operation."""
    return {"_class": [f"loc:@{operation}".encode()]}


def add_variable_nodes(
    graph: Graph,
    name: str,
    initial_value: InitialValue,
    shape: DeclaredShape,
    *,
    device: str,
    caching_device: str | None,
) -> tuple[VariableNodes, NDArray[Any]]:
    """Add the four nodes of a variable, under a name scope of its name.

    Args:
        graph: where to add them.
        name: of the variable; made unique within the current name scope.
        initial_value: if it is a callable, it runs in a scope of its own, on no device.
        shape: what is declared.
        device: a device for all of them, merged into those of the blocks around; "" for theirs.
        caching_device: a device for the snapshot alone.

    Returns:
        The nodes, and the initial value itself.

    Raises:
        TypeError, ValueError: as `InitialValue` and `DeclaredShape`.
    """
    # A variable is made whatever must run before other operations that are made here.
    with graph.control_dependencies(None), graph.device(device), graph.name_scope(name) as scope:
        # What a callable makes is to be with the variable, which is not there yet.
        with graph.attributes(colocation(scope[:-1]) if initial_value.deferred else {}):
            initial = _initial_tensor(graph, initial_value)
            value = value_beside(initial)
            assert value is not None  # noqa: S101  # InitialValue has seen to that
            data_type = data_type_of(value)
            variable = _variable(graph, scope, data_type, shape.of(value))
        initializer = add_assignment(
            variable,
            data_type,
            initial,
            "Assign",
            use_locking=True,
            validate_shape=shape.validate and not is_handle(variable),
        )
        snapshot = _snapshot(variable, data_type, caching_device)
    return VariableNodes(variable, initial, initializer, snapshot), value


def _initial_tensor(graph: Graph, initial_value: InitialValue) -> Tensor:
    if not initial_value.deferred:
        return _as_tensor(graph, initial_value())
    with graph.name_scope("Initializer"), graph.device(None):
        return _as_tensor(graph, initial_value())


def _as_tensor(graph: Graph, value: Tensor | NDArray[Any]) -> Tensor:
    if not isinstance(value, Tensor):
        return add_value(graph, "initial_value", value)
    if value.graph is not graph:
        raise ValueError(f"the initial value {value!r} is of another graph")
    return value


def _variable(graph: Graph, scope: str, data_type: DataType, shape: PartialShape) -> Operation:
    if data_type in HANDLES_ONLY:
        return add_handle(graph, scope, data_type, shape)
    attrs = {"shape": shape_attr(shape), "dtype": data_type, "container": b"", "shared_name": b""}
    return graph.add_operation("VariableV2", scope, attrs=attrs)


def _snapshot(variable: Operation, data_type: DataType, caching_device: str | None) -> Tensor:
    graph = variable.graph
    if is_handle(variable):
        return add_handle_read(variable, data_type)
    with graph.device(caching_device or ""):
        device = variable.device if caching_device is None else None
        attrs = {"T": data_type} | (colocation(variable.name) if caching_device is None else {})
        read = graph.add_operation("Identity", "read", inputs=(variable.name,), attrs=attrs, device=device)
    return Tensor(read, 0)


def add_assignment(
    variable: Operation,
    data_type: DataType,
    value: Tensor,
    name: str,
    *,
    type: str = "Assign",
    use_locking: bool = False,
    validate_shape: bool = True,
) -> Operation:
    """Add an Assign, AssignAdd or AssignSub, or what does the same by handle, on the variable's device.

    Args:
        variable: what is assigned to.
        data_type: its dtype.
        value: what is assigned, added or subtracted.
        name: of the new node, as `Graph.add_operation` takes it.
        type: which of the three.
        use_locking: whether TensorFlow is to lock the variable meanwhile.
        validate_shape: whether TensorFlow holds the value of an Assign to the variable's shape.
    """
    if is_handle(variable):
        return add_handle_assignment(variable, data_type, value, name, type=type, validate_shape=validate_shape)
    attrs = {"T": data_type, "use_locking": use_locking} | colocation(variable.name)
    if type == "Assign":
        attrs["validate_shape"] = validate_shape
    return variable.graph.add_operation(type, name, inputs=(variable.name, value), attrs=attrs, device=variable.device)
