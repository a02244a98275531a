"""Building a saver: its nodes in a graph, those of an earlier one that it takes over, and what it then saves."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.savers.saver_names import moved_into
from cloudckpt.saver.graph_nodes import add_nodes
from cloudckpt.saver.saveables import saveables_of
from cloudckpt.saver.saver_def import SaverDef, check_complete
from cloudckpt.saver.selection import NodeSelection, Selection, all_saveable_objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.saver.builder import BaseSaverBuilder
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["Building", "Built"]


@dataclass(frozen=True, slots=True)
class Built:
    """What building a saver has fixed."""

    graph: Graph
    saver_def: Any | None
    """which names the nodes; None if the saver is empty, and has none"""
    selection: Selection | None
    """what is saved of that graph; None if the nodes say it"""
    by_nodes: Callable[[Graph], Selection]
    """what is saved of any graph that has the nodes"""

    def within(self, graph: Graph) -> Selection:
        """What is saved and restored of a graph: of another one than it was built in what its nodes say.

        Raises:
            InvalidArgumentError: the graph has no such nodes, or they fit no saver.
        """
        return self.by_nodes(graph) if self.selection is None or graph is not self.graph else self.selection


@dataclass(frozen=True, slots=True)
class Building:
    """How a saver is built: the arguments of its constructor that are about nodes and variables, by their names there.

    A saver that executes eagerly is not built: it selects its variables anew each time.
    """

    var_list: Any
    builder: BaseSaverBuilder
    _: KW_ONLY
    sharded: bool
    allow_empty: bool
    reshape: bool
    name: str | None
    filename: str | None
    max_to_keep: int | None
    keep_checkpoint_every_n_hours: float

    def build(self, graph: Graph, saver_def: Any | None) -> Built:
        """Add nodes to a graph; or with a SaverDef take over those that it names, which the graph has.

        Raises:
            TypeError, InvalidArgumentError: as `select`; or the SaverDef lacks names.
            RuntimeError: the graph is finalized.
        """
        return self._with_new_nodes(graph) if saver_def is None else self._with_nodes_of(graph, saver_def)

    def select(self) -> Selection:
        """What a saver of the list of variables saves.

        Raises:
            TypeError: the list is invalid.
            InvalidArgumentError: names or variables are not unique, or there are none.
        """
        return self._selection(self.var_list, self.builder.write_version)

    def _selection(self, var_list: Any, write_version: int) -> Selection:
        saveables = saveables_of(var_list)
        if not saveables and not self.allow_empty:
            raise InvalidArgumentError(
                "there are no variables to save: make them before the saver, name them in var_list, or pass "
                "allow_empty=True for a saver that does nothing"
            )
        return Selection.of(saveables, sharded=self.sharded, write_version=write_version)

    def _with_new_nodes(self, graph: Graph) -> Built:
        var_list = all_saveable_objects(graph) if self.var_list is None else self.var_list
        selection = self._selection(var_list, self.builder.write_version)
        if not selection.restored:
            return Built(graph, None, selection, lambda _: selection)
        with graph.as_default():
            saver_def = add_nodes(
                graph,
                selection.restored,
                self.builder,
                name=self.name,
                filename=self.filename,
                sharded=self.sharded,
                reshape=self.reshape,
                max_to_keep=self.max_to_keep,
                keep_checkpoint_every_n_hours=self.keep_checkpoint_every_n_hours,
            )
        return Built(graph, saver_def, selection, NodeSelection(saver_def).within)

    def _with_nodes_of(self, graph: Graph, saver_def: Any) -> Built:
        """The list of variables goes before what the nodes do, if there is one."""
        named = moved_into(saver_def, self.name) if self.name else saver_def
        check_complete(named)
        write_version = SaverDef.V2 if named.version == SaverDef.V2 else SaverDef.V1
        selection = None if self.var_list is None else self._selection(self.var_list, write_version)
        return Built(graph, named, selection, NodeSelection(named).within)
