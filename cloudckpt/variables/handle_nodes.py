"""The nodes of a resource variable, which other nodes read and assign by its handle.

Names, inputs and attributes are those of TensorFlow 2.21 (python/ops/resource_variable_ops.py; found by looking at
graphs that it made). Our own variables are reference variables where TensorFlow can assign to these
(core/kernels/dense_update_ops.cc), so that `session.run("w:0")` gives the value there as it always did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.shape import shape_attr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.shape import PartialShape

__all__ = ["HANDLES_ONLY", "add_handle", "add_handle_assignment", "add_handle_read", "is_handle", "value_after"]

HANDLES_ONLY: Final = frozenset(
    {
        *(DataType.INT2, DataType.UINT2, DataType.INT4, DataType.UINT4),
        *(DataType.FLOAT4_E2M1FN, DataType.FLOAT8_E5M2, DataType.FLOAT8_E4M3FN),
    }
)
"""The dtypes that TensorFlow can assign to resource variables, and not to reference variables."""

_BY_HANDLE: Final[Mapping[str, str]] = {
    "Assign": "AssignVariableOp",
    "AssignAdd": "AssignAddVariableOp",
    "AssignSub": "AssignSubVariableOp",
}


def is_handle(variable: Operation) -> bool:
    """Whether an operation gives the handle of a variable, and not its value."""
    return variable.type == "VarHandleOp"


def add_handle(graph: Graph, name: str, data_type: DataType, shape: PartialShape) -> Operation:
    """Add a resource variable, and under the current name scope, its own, what asks whether it is initialized.

    Args:
        graph: where to add it.
        name: of the variable, as `Graph.add_operation` takes it.
        data_type: of its elements.
        shape: as it is declared.
    """
    attrs = {
        "allowed_devices": [],
        "container": b"",
        "debug_name": name.encode(),
        "dtype": data_type,
        "shape": shape_attr(shape),
        "shared_name": name.removesuffix("/").encode(),
    }
    variable = graph.add_operation("VarHandleOp", name, attrs=attrs)
    with graph.name_scope("IsInitialized"):
        graph.add_operation("VarIsInitializedOp", "VarIsInitializedOp", inputs=(variable.name,), device=variable.device)
    return variable


def add_handle_read(variable: Operation, data_type: DataType) -> Tensor:
    """Add what reads the value, under the current name scope."""
    graph = variable.graph
    with graph.name_scope("Read"):
        return _read(variable, data_type, (variable.name,))


def add_handle_assignment(
    variable: Operation, data_type: DataType, value: Tensor, name: str, *, type: str, validate_shape: bool
) -> Operation:
    """Add an assignment by handle; arguments as those of `add_assignment`."""
    attrs: dict[str, object] = {"dtype": data_type}
    if type == "Assign":
        attrs["validate_shape"] = validate_shape
    inputs = (variable.name, value)
    return variable.graph.add_operation(_BY_HANDLE[type], name, inputs=inputs, attrs=attrs, device=variable.device)


def value_after(update: Operation, data_type: DataType) -> Tensor:
    """The value of a variable once an assignment has run: what that gives, or, by handle, a read after it."""
    if update.type not in _BY_HANDLE.values():
        return Tensor(update, 0)
    variable = update.graph.get_operation_by_name(update.inputs[0])
    return _read(variable, data_type, (variable.name, f"^{update.name}"))


def _read(variable: Operation, data_type: DataType, inputs: tuple[str, ...]) -> Tensor:
    read = variable.graph.add_operation(
        "ReadVariableOp", "ReadVariableOp", inputs=inputs, attrs={"dtype": data_type}, device=variable.device
    )
    return Tensor(read, 0)
