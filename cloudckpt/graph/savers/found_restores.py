"""What the nodes of a saver restore, and what they assign it to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.savers.found_saves import data_types, keys, known_shape, nth_input
from cloudckpt.graph.savers.save_plan import SavedTensor
from cloudckpt.graph.savers.variable_operations import VARIABLES

if TYPE_CHECKING:
    from cloudckpt.graph.savers.found_saves import FoundSaves
    from cloudckpt.graph.savers.node import Node, Output
    from cloudckpt.graph.savers.tracing import Tracing

__all__ = ["RESTORE_TYPES", "FoundRestores"]

RESTORE_TYPES: Final = frozenset({"RestoreV2", "Restore", "RestoreSlice"})
_ASSIGN_TYPES = frozenset({"Assign", "AssignVariableOp"})
_PASSING_ON = frozenset({"Identity", "Reshape"})


class FoundRestores:
    """The nodes that restore, before one node."""

    def __init__(self, tracing: Tracing, last: Node) -> None:
        self._tracing = tracing
        self._last = last
        self._reads: dict[tuple[int, str], list[SavedTensor]] = {}

    def tensors(self, saves: FoundSaves) -> tuple[SavedTensor, ...]:
        """What is restored, in the order in which it stands in the nodes that read it.

        What goes to anything but a variable, a hash table for instance, is what the saver saves under the same key.

        Raises:
            InvalidArgumentError: nothing is, or the nodes don't fit together.
        """
        saved = {(each.name, each.slice_spec): each for shard in saves.shards for each in shard.tensors}
        found: dict[tuple[int, str, int], list[SavedTensor]] = {}
        reads = []
        for node in self._tracing.reached(self._last):
            if node.type in RESTORE_TYPES:
                reads.append(node)
            elif node.type not in _PASSING_ON:
                self._look_at(node, found)
        if not reads:
            raise InvalidArgumentError(f"node {self._last.name!r} should run after something is restored: nothing is")
        return tuple(
            _as_saved(each, saved)
            for node in reversed(reads)
            for output in range(len(self._read_by(node)))
            for each in found.get((*node.key, output), ())
        )

    def _look_at(self, node: Node, found: dict[tuple[int, str, int], list[SavedTensor]]) -> None:
        """Note what of a checkpoint a node takes."""
        for number, name in enumerate(node.data_inputs()):
            value = self._tracing.origin(node.body.output(name), _PASSING_ON)
            if value.node.type in RESTORE_TYPES:
                assigned = node.type in _ASSIGN_TYPES and number == 1
                variable = self._tracing.origin(nth_input(node, 0)).node if assigned else None
                found.setdefault(value.key, []).append(self._restored(value, variable))

    def _restored(self, value: Output, variable: Node | None) -> SavedTensor:
        read = self._read_by(value.node)
        if value.index >= len(read):
            raise InvalidArgumentError(f"node {value.node.name!r} restores {len(read)} tensors, and no {value.name!r}")
        if variable is None or variable.type not in VARIABLES:
            return read[value.index]
        name, shape = variable.name, known_shape(variable)
        return replace(read[value.index], source=f"{name}:0", shape=shape, variable=name)

    def _read_by(self, node: Node) -> list[SavedTensor]:
        if node.key not in self._reads:
            self._reads[node.key] = self._decoded(node)
        return self._reads[node.key]

    def _decoded(self, node: Node) -> list[SavedTensor]:
        types = data_types(node, "dtypes" if node.type == "RestoreV2" else "dt")
        names, specs = keys(self._tracing, node, len(types), has_slices=node.type != "Restore")
        return [
            SavedTensor(name, spec, source="", data_type=data_type, shape=None, variable="")
            for name, spec, data_type in zip(names, specs, types, strict=True)
        ]


def _as_saved(tensor: SavedTensor, saved: dict[tuple[str, str], SavedTensor]) -> SavedTensor:
    """What is restored to something else than a variable goes where the saver has it from."""
    if tensor.variable or (known := saved.get((tensor.name, tensor.slice_spec))) is None:
        return tensor
    return replace(tensor, source=known.source, shape=known.shape, variable=known.variable)
