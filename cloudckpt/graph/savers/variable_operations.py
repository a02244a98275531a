"""The nodes that are variables: which types there are, how each is read, and one for what is no variable of ours.

Source: core/ops/state_ops.cc, core/ops/resource_variable_ops.cc; python/training/saving/saveable_object_util.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.graph.names import operation_of
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK
from cloudckpt.variables.handle_nodes import HANDLES_ONLY, add_handle, add_handle_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.graph.savers.save_plan import SavedTensor
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation, Tensor

__all__ = [
    "REFERENCE_VARIABLES",
    "RESOURCE_VARIABLES",
    "VARIABLES",
    "add_assignment_of_restored",
    "readable",
    "variable_operation",
]

REFERENCE_VARIABLES = frozenset({"Variable", "VariableV2", "AutoReloadVariable"})
"""Operations whose output is the variable's value."""
RESOURCE_VARIABLES = frozenset({"VarHandleOp"})
"""Operations whose output is a handle, which other operations read from and assign to."""
VARIABLES = REFERENCE_VARIABLES | RESOURCE_VARIABLES


def readable(graph: Graph, tensor: SavedTensor) -> str:
    """The input that a node takes to save a tensor: what it reads, where its source is a variable itself.

    As TensorFlow has it: of a reference variable the variable, or its `read` where a slice is saved; of a resource
    variable what reads its handle, which is added where there is none, and where a slice is saved.

    Raises:
        KeyError: the graph has no such operation.
    """
    operation = graph.get_operation_by_name(operation_of(tensor.source))
    if operation.type in RESOURCE_VARIABLES:
        read = None if tensor.slice_spec else _read_of(graph, operation, "Read/ReadVariableOp")
        return read or _add_read(graph, operation, tensor.data_type)
    if operation.type in REFERENCE_VARIABLES and tensor.slice_spec:
        return _read_of(graph, operation, "read") or operation.name
    return tensor.source.removesuffix(":0")


def variable_operation(
    graph: Graph, name: str, data_type: int, shape: Sequence[int] | None, device: str = ""
) -> Operation:
    """Add a variable and what reads it, as the graph's node for something that is no variable of it: a torch parameter.

    It has no initial value and is in no collection.

    Args:
        graph: to add it to.
        name: made unique there, as any operation's.
        data_type: TensorFlow's number of its dtype.
        shape: None where it is not known.
        device: of both nodes.
    """
    with graph.device(device):
        if data_type in HANDLES_ONLY:
            return _handle(graph, name, DataType(data_type), shape)
        variable = graph.add_operation(
            "VariableV2",
            name,
            attrs={
                "container": "",
                "dtype": DataType(data_type),
                "shape": UNKNOWN_RANK if shape is None else tuple(shape),
                "shared_name": "",
            },
        )
        attrs = {"T": DataType(data_type), "_class": [f"loc:@{variable.name}"]}
        with graph.name_scope(f"{variable.name}/"):
            graph.add_operation("Identity", "read", inputs=(variable.name,), attrs=attrs)
    return variable


def _handle(graph: Graph, name: str, data_type: DataType, shape: Sequence[int] | None) -> Operation:
    with graph.name_scope(name) as scope:
        variable = add_handle(graph, scope, data_type, None if shape is None else tuple(shape))
        add_handle_read(variable, data_type)
    return variable


def _read_of(graph: Graph, variable: Operation, ending: str) -> str | None:
    name = f"{variable.name}/{ending}"
    try:
        read = graph.get_operation_by_name(name)
    except KeyError:
        return None
    return name if read.inputs and operation_of(read.inputs[0]) == variable.name else None


def _add_read(graph: Graph, handle: Operation, data_type: int) -> str:
    """Read a variable without a copy of it, to the memory of the first CPU beside it."""
    with graph.device(handle.device):
        with graph.name_scope("Read"):
            graph.add_operation("DisableCopyOnRead", "DisableCopyOnRead", inputs=(handle.name,))
            attrs = {"dtype": DataType(data_type)}
            read = graph.add_operation("ReadVariableOp", "ReadVariableOp", inputs=(handle.name,), attrs=attrs)
        attrs = {"T": DataType(data_type)}
        value = graph.add_operation("Identity", "Identity", inputs=(read.name,), attrs=attrs)
        with graph.device("/device:CPU:0"):
            return graph.add_operation("Identity", "Identity", inputs=(value.name,), attrs=attrs).name


def add_assignment_of_restored(handle: Operation, value: Tensor | str, data_type: DataType) -> Operation:
    """Assign what was read from a checkpoint to a resource variable, by the two nodes that TensorFlow adds for it.

    Args:
        handle: the variable's operation.
        value: what was read.
        data_type: of its elements.
    """
    graph = handle.graph
    copied = graph.add_operation("Identity", "Identity", inputs=(value,), attrs={"T": data_type})
    return graph.add_operation(
        "AssignVariableOp",
        "AssignVariableOp",
        inputs=(handle.name, copied.name),
        attrs={"dtype": data_type, "validate_shape": False},
    )
