"""What the nodes of a saver write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.savers.save_plan import SavedShard, SavedTensor
from cloudckpt.graph.savers.variable_operations import VARIABLES
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.graph.savers.node import Node, Output
    from cloudckpt.graph.savers.tracing import Tracing

__all__ = ["SAVE_TYPES", "FoundSaves", "data_types", "keys", "known_shape", "nth_input", "variable_behind"]


@dataclass(frozen=True, slots=True)
class _SaveType:
    """How the inputs of a type of node are laid out: a filename, then keys, slices where it has them, and tensors."""

    version: int
    has_slices: bool
    types: str
    """the attribute that has the dtypes of the tensors"""


SAVE_TYPES: Final = {
    "SaveV2": _SaveType(version=2, has_slices=True, types="dtypes"),
    "SaveSlices": _SaveType(version=1, has_slices=True, types="T"),
    "Save": _SaveType(version=1, has_slices=False, types="T"),
}
_READS = frozenset({"Identity", "ReadVariableOp", "DisableCopyOnRead"})
"""What passes on a variable's value: its first input is the variable, or the handle of one."""


class FoundSaves:
    """The nodes that save, before one node.

    Attributes:
        shards: what they write, by the numbers of their files.
        version: 1 or 2, of the format that they write.
        constants: the values of those sources that are no variables but constants.

    Raises:
        InvalidArgumentError: there are none, or they don't fit together.
    """

    def __init__(self, tracing: Tracing, last: Node) -> None:
        self._tracing = tracing
        self.constants: dict[str, NDArray[Any]] = {}
        nodes = [node for node in tracing.reached(last) if node.type in SAVE_TYPES]
        if not nodes:
            raise InvalidArgumentError(f"node {last.name!r} should run after something is saved, and nothing is")
        nodes.sort(key=self._shard_number)
        self.version = max(SAVE_TYPES[node.type].version for node in nodes)
        self.shards = tuple(SavedShard(node.device, tuple(self._saved(node))) for node in nodes)

    def _shard_number(self, node: Node) -> int:
        filename = self._tracing.origin(nth_input(node, 0)).node
        if filename.type != "ShardedFilename":
            return 0
        number = self._tracing.constant(nth_input(filename, 1))
        return int(number) if number is not None and number.shape == () and number.dtype == np.int32 else 0

    def _saved(self, node: Node) -> list[SavedTensor]:
        kind = SAVE_TYPES[node.type]
        sources = node.data_inputs()[2 + kind.has_slices :]
        types = data_types(node, kind.types)
        if len(types) != len(sources):
            raise InvalidArgumentError(f"node {node.name!r} saves {len(sources)} tensors with {len(types)} dtypes")
        names, specs = keys(self._tracing, node, len(types), has_slices=kind.has_slices)
        return [
            self._tensor(name, spec, node.body.output(source), data_type)
            for name, spec, source, data_type in zip(names, specs, sources, types, strict=True)
        ]

    def _tensor(self, name: str, spec: str, source: Output, data_type: int) -> SavedTensor:
        variable = variable_behind(self._tracing, source)
        if variable is None and (constant := self._tracing.constant(source)) is not None:
            self.constants[source.name] = constant
        return SavedTensor(
            name=name,
            slice_spec=spec,
            source=f"{variable.name}:0" if variable is not None and source.node.body.scope else source.name,
            data_type=data_type,
            shape=None if variable is None else known_shape(variable),
            variable="" if variable is None else variable.name,
        )


def keys(tracing: Tracing, node: Node, count: int, *, has_slices: bool) -> tuple[list[str], list[str]]:
    """The names and slices of what a node saves or restores: two of its inputs.

    Raises:
        InvalidArgumentError: they are no constants, or not of so many strings.
    """
    names = tracing.strings(nth_input(node, 1), "names of tensors", count)
    specs = tracing.strings(nth_input(node, 2), "slices", count) if has_slices else [""] * count
    return names, specs


def nth_input(node: Node, number: int) -> Output:
    """One of the tensors that a node takes.

    Raises:
        InvalidArgumentError: it takes fewer.
    """
    inputs = node.data_inputs()
    if number >= len(inputs):
        raise InvalidArgumentError(f"node {node.name!r} of type {node.type} has {len(inputs)} inputs: too few")
    return node.body.output(inputs[number])


def data_types(node: Node, attribute: str) -> list[DataType]:
    """The dtypes in an attribute of a node, which may be one or a list.

    Raises:
        InvalidArgumentError: it has none there, or one that no tensor has.
    """
    value = node.attrs.get(attribute)
    types: list[Any] = value if isinstance(value, list) else [value]
    for each in types:
        if not isinstance(each, DataType):
            what = f"dtype {each}" if isinstance(each, int) else "no dtypes"
            raise InvalidArgumentError(f"node {node.name!r} of type {node.type} says {what} in attribute {attribute!r}")
    return types


def variable_behind(tracing: Tracing, source: Output) -> Node | None:
    """The variable that a value is read from, unchanged; None where it is another thing."""
    node = tracing.origin(source, _READS).node
    return node if node.type in VARIABLES else None


def known_shape(variable: Node) -> tuple[int, ...] | None:
    """The shape of a variable, None where it is not, or not fully, known."""
    shape = variable.attrs.get("shape", UNKNOWN_RANK)
    return shape if isinstance(shape, tuple) and None not in shape else None
