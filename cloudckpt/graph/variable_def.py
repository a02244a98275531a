"""Variables as a graph's collections keep them: VariableDef, which names a variable's nodes.

Sources: core/framework/variable.proto; python/ops/ref_variable.py and resource_variable_ops.py, to_proto and
_init_from_proto; python/ops/variables.py, SaveSliceInfo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.names import in_scope, prepend_scope, strip_scope
from cloudckpt.graph.savers.variable_operations import RESOURCE_VARIABLES, VARIABLES
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["decode_variable", "encode_variable", "variable_of"]


def encode_variable(variable: Variable, export_scope: str | None = None) -> Any:
    """The VariableDef of a variable, its names without a scope; None where it is in another scope.

    Raises:
        RuntimeError: it is in no graph, or its initializer is not known.
    """
    if not in_scope(variable.name, export_scope):
        return None
    message = message_class("tensorflow.VariableDef")(
        variable_name=strip_scope(variable.name, export_scope),
        initializer_name=strip_scope(variable.initializer.name, export_scope),
        snapshot_name=strip_scope(variable.snapshot.name, export_scope),
        is_resource=variable.op.type in RESOURCE_VARIABLES,
        trainable=variable.trainable,
        synchronization=variable.synchronization,
        aggregation=variable.aggregation,
    )
    if (initial := _initial_value(variable)) is not None:
        message.initial_value_name = strip_scope(initial.name, export_scope)
    if (info := variable.save_slice_info) is not None:
        part = message.save_slice_info_def
        part.full_name = strip_scope(info.full_name, export_scope)
        part.full_shape.extend(info.full_shape)
        part.var_offset.extend(info.var_offset)
        part.var_shape.extend(info.var_shape)
    return message


def decode_variable(graph: Graph, message: Any, *, import_scope: str = "", trainable: bool | None = None) -> Variable:
    """The variable that a VariableDef names, over the operations of a graph; it is put into no collection.

    Args:
        graph: which has its operations.
        message: the VariableDef.
        import_scope: a scope that its operations were imported into.
        trainable: in place of what the message says: TensorFlow says it from 1.9 on.

    Raises:
        InvalidArgumentError: the graph has not the operations that it names, or they are of another kind.
    """

    def element(name: str) -> Any:
        return _element(graph, prepend_scope(name, import_scope), message.variable_name)

    variable = variable_of(
        _expect(element(message.variable_name), Tensor, message.variable_name).op,
        trainable=message.trainable if trainable is None else trainable,
        initial_value=element(message.initial_value_name) if message.initial_value_name else None,
        initializer=_initializer(element(message.initializer_name)),
        snapshot=element(message.snapshot_name or _snapshot_name(message)),
        save_slice_info=_slice_info(message, import_scope),
    )
    variable.synchronization, variable.aggregation = message.synchronization, message.aggregation
    return variable


def variable_of(operation: Operation, **parts: Any) -> Variable:
    """The variable that an operation of a graph is, by its attributes.

    Args:
        operation: a VariableV2, Variable or VarHandleOp, ours or imported.
        parts: what else `Variable.of_operation` takes, where it is known.

    Raises:
        InvalidArgumentError: it is no variable, or doesn't say of which dtype.
    """
    data_type = operation.attrs.get("dtype")
    if operation.type not in VARIABLES or not isinstance(data_type, DataType):
        raise InvalidArgumentError(
            f"operation {operation.name!r} of type {operation.type} should be a variable of a known dtype, and is not"
        )
    shape = operation.attrs.get("shape")
    return Variable.of_operation(
        operation, data_type=data_type, shape=shape if isinstance(shape, tuple) else None, **parts
    )


def _snapshot_name(message: Any) -> str:
    """What reads a variable of which its VariableDef doesn't say it: those of the first resource variables."""
    name: str = message.variable_name.removesuffix(":0")
    return f"{name}/Read/ReadVariableOp:0" if message.is_resource else f"{name}/read:0"


def _initial_value(variable: Variable) -> Any:
    try:
        return variable.initial_value
    except RuntimeError:
        # Those of old graphs don't say it.
        return None


def _element(graph: Graph, name: str, variable: str) -> Any:
    try:
        return graph.as_graph_element(name)
    except (KeyError, ValueError) as error:
        raise InvalidArgumentError(
            f"the collections name a variable {variable!r} with a node {name!r}, which the graph does not have"
        ) from error


def _initializer(element: Operation | Tensor) -> Operation:
    # After init_from_checkpoint TensorFlow names what a reference variable's Assign gives.
    return element.op if isinstance(element, Tensor) else element


def _expect(element: Any, kind: type, name: str) -> Any:
    if not isinstance(element, kind):
        raise InvalidArgumentError(f"{name!r} should name a {kind.__name__.lower()} of the graph, and does not")
    return element


def _slice_info(message: Any, import_scope: str) -> SaveSliceInfo | None:
    if not message.HasField("save_slice_info_def"):
        return None
    part = message.save_slice_info_def
    name = prepend_scope(part.full_name, import_scope)
    try:
        return SaveSliceInfo(name, part.full_shape, part.var_offset, part.var_shape)
    except ValueError as error:
        raise InvalidArgumentError(f"variable {message.variable_name!r} is said to be a slice: {error}") from error
