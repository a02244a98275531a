"""Functions that add single nodes to the default graph, by TensorFlow's names: constants, placeholders, groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.conversion import sealed_copy
from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.graphs.default_graph import default_graph
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.shape import partial_shape, shape_attr
from cloudckpt.variables.value_nodes import add_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["constant", "group", "no_op", "placeholder"]


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor | NDArray[Any]:
    """A constant tensor; outside of graphs an array that can't be written to.

    Args:
        value: as `Variable` takes its initial value.
        dtype: to convert it to; None for its own.
        shape: to give it, with a single element repeated; None for its own.
        name: of the node.

    Raises:
        TypeError: it is no tensor, or not of that dtype.
        ValueError: it does not fill the shape.
    """
    array = sealed_copy(value, None if dtype is None else data_type_argument(dtype, "dtype"))
    if shape is not None:
        array = np.broadcast_to(array, shape) if array.size == 1 else array.reshape(shape)
        array = sealed_copy(array)
    graph = default_graph()
    return array if graph is None else add_value(graph, name, array)


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor that has to be fed whenever a session needs it.

    Args:
        dtype: of what is fed.
        shape: of what is fed, with None for dimensions of any length; None for any shape.
        name: of the node.

    Raises:
        RuntimeError: there is no graph here.
    """
    graph = default_graph()
    if graph is None:
        raise RuntimeError("a placeholder is a node of a graph: make it within `with graph.as_default():`")
    declared = shape_attr(None if shape is None else partial_shape(shape))
    attrs = {"dtype": data_type_argument(dtype, "dtype"), "shape": declared}
    return Tensor(graph.add_operation("Placeholder", name or "Placeholder", attrs=attrs), 0)


def no_op(name: str | None = None) -> Operation | None:
    """An operation that does nothing, but for what must run before it; None outside of graphs."""
    graph = default_graph()
    return None if graph is None else graph.add_operation("NoOp", name or "NoOp")


def group(*inputs: Any, name: str | None = None) -> Operation | None:
    """An operation that runs others.

    Args:
        inputs: operations, tensors and variables of the default graph, and lists of these.
        name: of the operation.

    Returns:
        The operation: with one more for each device, if they are on several; None outside of graphs.

    Raises:
        TypeError: one is none of these.
        ValueError: one is of another graph.
    """
    graph = default_graph()
    if graph is None:
        return None
    operations = [_operation(graph, each) for each in _flattened(inputs)]
    with graph.name_scope(name or "group_deps") as scope:
        return _grouped(graph, operations, scope)


def _grouped(graph: Graph, operations: Iterable[Operation], scope: str) -> Operation:
    by_device: dict[str, list[Operation]] = {}
    for operation in operations:
        by_device.setdefault(operation.device, []).append(operation)
    if len(by_device) <= 1:
        return _run_after(graph, next(iter(by_device.items()), ("", [])), scope)
    return _run_after(graph, ("", [_run_after(graph, part, "NoOp") for part in sorted(by_device.items())]), scope)


def _run_after(graph: Graph, part: tuple[str, list[Operation]], name: str) -> Operation:
    device, operations = part
    with graph.control_dependencies(operations), graph.device(device):
        return graph.add_operation("NoOp", name)


def _flattened(inputs: Any) -> Iterator[Any]:
    for each in inputs:
        if isinstance(each, list | tuple):
            yield from _flattened(each)
        elif isinstance(each, dict):
            yield from _flattened([each[key] for key in sorted(each)])
        else:
            yield each


def _operation(graph: Graph, element: Any) -> Operation:
    if element is None or isinstance(element, str):
        raise TypeError(f"a group takes operations, tensors and variables, not {element!r}")
    found = graph.as_graph_element(element)
    return found.op if isinstance(found, Tensor) else found
