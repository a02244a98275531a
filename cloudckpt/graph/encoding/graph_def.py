"""A graph as GraphDef: its operations as nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.collection import collection_paused
from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.attr_values import set_attr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["PRODUCER", "encode_graph"]

PRODUCER = 27
"""By whose rules our own nodes are to be understood: TensorFlow's 1.11 to 1.13.

From 24 on the shape () of a Placeholder means a scalar, before it meant an unknown shape; all later versions take our
nodes for the same (core/public/version.h, core/ops/array_ops.cc).
"""

DEPENDED_ON = "_has_manual_control_dependencies"


@collection_paused()
def encode_graph(graph: Graph) -> Any:
    """The GraphDef of a graph, in the order of its operations. About 10 microseconds a node.

    Imported operations are written as they came, but for their names, inputs and devices; with them the library of
    functions that they call, and the version by which they are to be understood.

    Raises:
        TypeError: an attribute of an operation can't be one of a node's; the message names both.
    """
    message = message_class("tensorflow.GraphDef")()
    message.versions.producer = graph.producer or PRODUCER
    message.versions.min_consumer = graph.min_consumer
    operations = graph.get_operations()
    depended_on = _depended_on(operations)
    for operation in operations:
        node = message.node.add()
        _set_node(node, operation)
        if operation.name in depended_on and operation.definition is None:
            node.attr[DEPENDED_ON].b = True
    if graph.library is not None:
        message.library.CopyFrom(graph.library)
    return message


def _depended_on(operations: Iterable[Operation]) -> set[str]:
    """The names of those that one of our own must run after: TensorFlow 2 marks these."""
    own = (operation for operation in operations if operation.definition is None)
    return {name[1:] for operation in own for name in operation.inputs if name.startswith("^")}


def _set_node(message: Any, operation: Operation) -> None:
    if operation.definition is None:
        message.op = operation.type
        _set_attrs(message.attr, operation)
    else:
        message.CopyFrom(operation.definition)
        message.ClearField("input")
    message.name = operation.name
    message.input.extend(operation.inputs)
    message.device = operation.device


def _set_attrs(attrs: Any, operation: Operation) -> None:
    for name, value in operation.attrs.items():
        try:
            set_attr(attrs[name], value)
        except TypeError as error:
            raise TypeError(f"attribute {name!r} of {operation.type} operation {operation.name!r}: {error}") from error
