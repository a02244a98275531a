"""What a saver saves and restores: what it was given, all of its graph, or what nodes of a graph say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.saver.devices import group_by_device
from cloudckpt.saver.imported import ImportedSaver
from cloudckpt.variables.graphs.keys import GraphKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.saver.saveable_object import SaveableObject
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["NodeSelection", "Selection", "all_saveable_objects"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What one save writes and one restore reads."""

    groups: Sequence[Sequence[SaveableObject]]
    """what is saved, by file"""
    restored: Sequence[SaveableObject]
    sharded: bool
    """whether a V1 file's name says which of several it is"""
    write_version: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to save."""
        return not self.restored and not any(self.groups)

    @classmethod
    def of(cls, saveables: Sequence[SaveableObject], *, sharded: bool, write_version: int) -> Selection:
        """That of saveables; sharded, those of each device have a file.

        Raises:
            InvalidArgumentError: the tensors of one saveable are on several devices.
        """
        groups = [*group_by_device(saveables).values()] if sharded else [saveables]
        return cls(groups, saveables, sharded, write_version)


class NodeSelection:
    """What the nodes do that a SaverDef names, in whatever graph; looked up again when the graph has changed."""

    def __init__(self, saver_def: Any) -> None:
        self._saver_def = saver_def
        self._found: tuple[Graph, int, Selection] | None = None

    def within(self, graph: Graph) -> Selection:
        """What the graph's nodes of these names save and restore.

        Raises:
            InvalidArgumentError: there are none, or they fit no saver.
        """
        if self._found is not None and self._found[0] is graph and self._found[1] == graph.version:
            return self._found[2]
        version, found = graph.version, ImportedSaver(graph, self._saver_def)
        selection = Selection(found.shards, found.restored, found.sharded, found.write_version)
        self._found = graph, version, selection
        return selection


def all_saveable_objects(graph: Graph) -> list[Any]:
    """The variables and saveable objects in a graph's collections, as TensorFlow saves them by default."""
    return graph.get_collection(GraphKeys.GLOBAL_VARIABLES) + graph.get_collection(GraphKeys.SAVEABLE_OBJECTS)
