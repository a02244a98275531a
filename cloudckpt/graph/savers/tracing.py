"""Following tensors back to where they come from, and nodes to all that runs before them; always in linear time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.tensor_names import decode_name
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.savers.node import CALLS, FunctionBody, GraphBody, inputs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cloudckpt.graph.savers.node import Node, Output
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["Tracing"]

MAX_CALLS = 100
"""Calls of functions that a search looks into; what TensorFlow makes calls one."""
MAX_REPEATED_NODES = 100_000
"""Of functions that are called several times; once each may be looked at, however large it is."""
MAX_DEPTH = 20
"""How deep calls may be nested."""
_PASSING_ON = frozenset({"Identity"})


class Tracing:
    """A search through one graph, which remembers what it found."""

    def __init__(self, graph: Graph) -> None:
        self.body = GraphBody(graph)
        library = () if graph.library is None else graph.library.function
        self._functions = {function.signature.name: function for function in library}
        self._origins: dict[tuple[frozenset[str], tuple[int, str, int]], Output] = {}
        self._calls: dict[tuple[int, str], FunctionBody] = {}
        self._nodes_left = MAX_REPEATED_NODES + sum(len(function.node_def) for function in library)

    def reached(self, node: Node) -> Iterator[Node]:
        """A node and all that runs before it, each once, the called functions' nodes among them.

        Raises:
            InvalidArgumentError: a node names another one that is not there, or the calls of functions have no end.
        """
        seen = {node.key}
        stack = [node]
        while stack:
            node = stack.pop()
            yield node
            before = self._called(node).nodes() if node.type in CALLS else inputs_of(node)
            for each in before:
                if each.key not in seen:
                    seen.add(each.key)
                    stack.append(each)

    def origin(self, output: Output, passing_on: frozenset[str] = _PASSING_ON) -> Output:
        """Where a value comes from, behind the nodes of these types that pass on their first input.

        Raises:
            InvalidArgumentError: they pass it on in a circle, or from a node that is not there.
        """
        path: dict[tuple[int, str, int], Output] = {}
        while (known := self._origins.get((passing_on, output.key))) is None:
            if output.key in path:
                raise InvalidArgumentError(f"node {output.node.name!r} takes its own output, by way of other nodes")
            path[output.key] = output
            if output.node.type not in passing_on:
                break
            output = output.node.body.output(_first_input(output.node))
        found = known or output
        self._origins.update(((passing_on, key), found) for key in path)
        return found

    def constant(self, output: Output) -> NDArray[Any] | None:
        """The value that an output always has; None where it is not the same each time.

        Raises:
            InvalidArgumentError: it is a constant whose value makes no sense.
        """
        node = self.origin(output).node
        return self.value_of(node) if node.type == "Const" else None

    def value_of(self, node: Node) -> NDArray[Any]:
        """The value of a Const node."""
        value = node.attrs.get("value")
        if not isinstance(value, np.ndarray):
            raise InvalidArgumentError(f"node {node.name!r} is a constant without a value")
        return value

    def strings(self, output: Output, what: str, count: int) -> list[str]:
        """The strings of a constant.

        Args:
            output: the constant's.
            what: what they are, for messages.
            count: how many there must be; a small constant may say that it has any number.

        Raises:
            InvalidArgumentError: it is no constant, or not of so many strings.
        """
        value = self.constant(output)
        if value is None or value.dtype != object:
            raise InvalidArgumentError(f"node {output.node.name!r} should be a constant of {what}, and is not")
        if value.size != count:
            raise InvalidArgumentError(f"node {output.node.name!r} has {value.size} {what} where {count} are expected")
        return [decode_name(each) for each in value.ravel().tolist()]

    def _called(self, caller: Node) -> FunctionBody:
        if caller.key not in self._calls:
            function = self._function(caller)
            self._nodes_left -= len(function.node_def)
            if len(self._calls) >= MAX_CALLS or self._nodes_left < 0 or caller.body.depth >= MAX_DEPTH:
                raise InvalidArgumentError(
                    f"node {caller.name!r} calls {function.signature.name!r}: too many calls, or too deep, for the "
                    "nodes of a saver"
                )
            self._calls[caller.key] = FunctionBody(function, caller)
        return self._calls[caller.key]

    def _function(self, caller: Node) -> Any:
        function = getattr(caller.attrs.get("f"), "func", None)
        name = "" if function is None else str(function.name)
        if name not in self._functions:
            raise InvalidArgumentError(f"node {caller.name!r} calls function {name!r}, which the graph does not have")
        return self._functions[name]


def _first_input(node: Node) -> str:
    inputs = node.data_inputs()
    if not inputs:
        raise InvalidArgumentError(f"node {node.name!r} of type {node.type} has no input")
    return inputs[0]
