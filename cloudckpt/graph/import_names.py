"""The names that imported nodes get: within a scope, and another one where the graph has theirs already.

Source: core/common_runtime/graph_constructor.cc: AddPrefixToNodeDef, UniquifyNames, UpdateUniquifiedColocationNames;
what comes of it was tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.colocation import CLASS_ATTR, CLASS_PREFIX
from cloudckpt.graph.export_scope import FRAME_NAME, LOOP_ENTRIES
from cloudckpt.graph.names import operation_of, positions_within
from cloudckpt.variables.graphs.graph_scopes import valid_operation_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["ImportNames"]


class ImportNames:
    """The new name of each node of a GraphDef.

    Args:
        graph: what they are imported into.
        graph_def: whose nodes they are.
        prefix: what their names begin with there, "scope/" or "".
        input_map: names of tensors of the graph, by the inputs that they are to replace: "x:0" or "^x".

    Raises:
        InvalidArgumentError: two nodes have one name, one has a name that no operation can have, or takes something
            that is not there; or `input_map` names something that no node takes.
    """

    def __init__(self, graph: Graph, graph_def: Any, prefix: str, input_map: Mapping[str, str]) -> None:
        taken = _Taken(operation.name for operation in graph.get_operations())
        given = dict.fromkeys(node.name for node in graph_def.node)
        if len(given) != len(graph_def.node):
            raise InvalidArgumentError(f"two nodes of the graph to import have the name {_repeated(graph_def)!r}")
        wanted = {prefix + name for name in given}
        self._prefix = prefix
        self._input_map = {_canonical(name): tensor.removesuffix(":0") for name, tensor in input_map.items()}
        self._unused = set(self._input_map)
        self._names: dict[str, str] = {}
        for name in given:
            self._names[name] = _unique(prefix + name, taken, wanted)
            if not valid_operation_name(self._names[name]):
                raise InvalidArgumentError(f"{self._names[name]!r} is not a name that an operation can have")

    def of(self, name: str) -> str:
        """The new name of a node."""
        return self._names[name]

    def inputs(self, node: Any) -> list[str]:
        """The inputs of a node by their new names."""
        return [self._input(name, node.name) for name in node.input]

    def _input(self, name: str, node: str) -> str:
        # Nearly all inputs of nearly all graphs end here.
        if not self._input_map and not self._prefix and self._names.get(name) == name:
            return name
        if (key := _canonical(name)) in self._input_map:
            self._unused.discard(key)
            return self._input_map[key]
        owner = operation_of(name)
        if owner not in self._names:
            raise InvalidArgumentError(
                f"node {node!r} of the graph to import takes {name!r}, which is no node of it: pass an input_map that "
                "says what it stands for"
            )
        control = "^" if name.startswith("^") else ""
        return f"{control}{self._names[owner]}{name.removeprefix('^')[len(owner) :]}"

    def check_input_map(self) -> None:
        """To be called after all inputs were asked for.

        Raises:
            InvalidArgumentError: nothing takes an input that `input_map` replaces, and no node gives it.
        """
        if unknown := sorted(name for name in self._unused if not self._is_known(name)):
            raise InvalidArgumentError(f"input_map names {', '.join(unknown)}, which the graph to import does not have")

    def _is_known(self, name: str) -> bool:
        output = name.partition(":")[2]
        return operation_of(name) in self._names and (name.startswith("^") or output.isdecimal())

    def rename(self, node: Any) -> None:
        """Change a NodeDef message to the new names. One that keeps its name may be left as it is."""
        node.input[:] = self.inputs(node)
        if CLASS_ATTR in node.attr:
            classes = node.attr[CLASS_ATTR].list.s
            classes[:] = map(self._class, classes)
        if self._prefix and node.op in LOOP_ENTRIES and FRAME_NAME in node.attr:
            frame = node.attr[FRAME_NAME]
            frame.s = self._prefix.encode() + frame.s
        node.name = self.of(node.name)

    def _class(self, name: bytes) -> bytes:
        if not name.startswith(CLASS_PREFIX):
            return name
        place = name[len(CLASS_PREFIX) :]
        known = self._names.get(place.decode("utf-8", "replace"))
        return CLASS_PREFIX + (self._prefix.encode() + place if known is None else known.encode())


def _canonical(name: str) -> str:
    """An input as an output of a node is called, or a control input; the same for all ways to write it."""
    if name.startswith("^"):
        return name
    owner, _, index = name.partition(":")
    return f"{owner}:{int(index)}" if index.isdecimal() and len(index) < 10 else f"{owner}:{index or 0}"


class _Taken:
    """The names of a graph's operations, and those of the scopes that they are in."""

    def __init__(self, operations: Iterable[str]) -> None:
        self._names = set(operations)
        self._sorted = sorted(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names or bool(positions_within(name, self._sorted))

    def add(self, name: str) -> None:
        self._names.add(name)


def _unique(name: str, taken: _Taken, wanted: set[str]) -> str:
    if name not in taken:
        return name
    number = 1
    while (unique := f"{name}_{number}") in taken or unique in wanted:
        number += 1
    # A name that was found is not found again: several may begin alike.
    taken.add(unique)
    return unique


def _repeated(graph_def: Any) -> str:
    seen: set[str] = set()
    names: Iterable[str] = (node.name for node in graph_def.node)
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
