"""Nodes and what they take, in a graph and in the functions that it calls.

TensorFlow 2 puts what saves into a function, and has one node call it. A function's nodes name their inputs in another
way than a graph's: an argument by its name, a node's output as "node:output:0" (core/framework/function.proto).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.imported_attrs import ImportedAttrs
from cloudckpt.graph.names import operation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["CALLS", "FunctionBody", "GraphBody", "Node", "Output", "inputs_of"]

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""Operations that run the function which their attribute `f` names."""
_SECOND_OUTPUTS = frozenset({("LookupTableExport", "values"), ("LookupTableExportV2", "values")})
"""Outputs by name that are not the first of their operation, of the operations that are saved."""


class Body(Protocol):
    """What nodes stand in."""

    @property
    def scope(self) -> str:
        """What goes before their names, to tell them from nodes that stand elsewhere."""

    @property
    def depth(self) -> int:
        """How many calls of functions lead to it."""

    def node(self, name: str) -> Node:
        """The node of that name; InvalidArgumentError if there is none."""

    def output(self, name: str) -> Output:
        """What an input names that is no control input; InvalidArgumentError if there is none."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node where it stands."""

    name: str
    type: str
    inputs: tuple[str, ...]
    device: str
    attrs: Mapping[str, Any]
    body: Body

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from all other nodes."""
        return id(self.body), self.name

    def data_inputs(self) -> list[str]:
        """The names of its inputs that are tensors."""
        return [name for name in self.inputs if not name.startswith("^")]


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a node."""

    node: Node
    index: int

    @property
    def key(self) -> tuple[int, str, int]:
        """What tells it from all other outputs."""
        return (*self.node.key, self.index)

    @property
    def name(self) -> str:
        """As a graph names it, such as "w:0"; of a function's node within a scope of the function's name."""
        return f"{self.node.body.scope}{self.node.name}:{self.index}"


class GraphBody:
    """The nodes of a graph itself."""

    scope = ""
    depth = 0

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def node(self, name: str) -> Node:
        """See `Body.node`."""
        try:
            operation = self._graph.get_operation_by_name(name)
        except (KeyError, ValueError) as error:
            raise InvalidArgumentError(f"the graph has no operation {name!r}, which it refers to") from error
        return Node(name, operation.type, operation.inputs, operation.device, operation.attrs, self)

    def output(self, name: str) -> Output:
        """See `Body.output`."""
        index = name.partition(":")[2] or "0"
        if not index.isdecimal() or len(index) > 9:
            raise InvalidArgumentError(f"{name!r} is not the name of a tensor, such as 'w:0'")
        return Output(self.node(operation_of(name)), int(index))


class FunctionBody:
    """The nodes of a function, and what the node that calls it gives it."""

    def __init__(self, function: Any, caller: Node) -> None:
        self._function_name = function.signature.name
        self.scope = f"{self._function_name}/"
        self.depth = caller.body.depth + 1
        self._nodes = {node.name: node for node in function.node_def}
        self._arguments = dict(
            zip((each.name for each in function.signature.input_arg), caller.data_inputs(), strict=False)
        )
        self._caller = caller

    def nodes(self) -> Iterable[Node]:
        """All of them: a function is there to be run whole."""
        return map(self.node, self._nodes)

    def node(self, name: str) -> Node:
        """See `Body.node`."""
        if name not in self._nodes:
            raise InvalidArgumentError(f"function {self._function_name!r} has no node {name!r}, which it refers to")
        found = self._nodes[name]
        return Node(name, found.op, tuple(found.input), found.device, ImportedAttrs(found), self)

    def output(self, name: str) -> Output:
        """See `Body.output`."""
        if name in self._arguments:
            return self._caller.body.output(self._arguments[name])
        owner, _, rest = name.partition(":")
        output, _, index = rest.partition(":")
        node = self.node(owner)
        if not index.isdecimal() or len(index) > 9:
            raise InvalidArgumentError(f"{name!r} is no input of a node of function {self._function_name!r}")
        return Output(node, int(index) + ((node.type, output) in _SECOND_OUTPUTS))


def inputs_of(node: Node) -> Iterable[Node]:
    """The nodes that must run before this one; not what is before the call of a function that it stands in."""
    for name in node.inputs:
        if name.startswith("^"):
            yield node.body.node(name[1:])
        else:
            yield node.body.output(name).node
