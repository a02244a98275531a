"""The `.meta` file beside each checkpoint that a saver writes, encoded again only when the graph has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.graph.encoding.debug_info import write_debug_info
from cloudckpt.graph.encoding.meta_graph_file import write_meta_graph
from cloudckpt.graph.export import export_meta_graph_def

if TYPE_CHECKING:
    from cloudckpt.storage.location import Location
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["MetaGraphFile"]


class MetaGraphFile:
    """Writes one saver's meta graphs; not for several threads at a time."""

    def __init__(self) -> None:
        self._seen: tuple[Any, ...] = ()
        self._kept: list[Any] = []
        """what `_seen` has the ids of: kept, so that nothing else gets them"""
        self._encoded: Any = None

    def write(
        self, file: Location, graph: Graph, saver_def: Any | None, *, strip_default_attrs: bool, save_debug_info: bool
    ) -> None:
        """Write the meta graph of a graph in place of what is there. One PUT, or two with debug info.

        Args:
            file: where.
            graph: the graph.
            saver_def: of the saver.
            strip_default_attrs: leave out attributes that have their op's default values.
            save_debug_info: also write where in the program the operations were made, beside it.

        Raises:
            InvalidArgumentError: it would come to more than the 2 GiB of a protobuf message.
            StorageError: the store failed.
        """
        write_meta_graph(file, self._encode(graph, saver_def, strip_default_attrs=strip_default_attrs))
        if save_debug_info:
            write_debug_info(file, graph.get_operations())

    def _encode(self, graph: Graph, saver_def: Any | None, *, strip_default_attrs: bool) -> Any:
        values = [value for name in graph.get_all_collection_keys() for value in graph.get_collection(name)]
        definition = None if saver_def is None else saver_def.SerializeToString(deterministic=True)
        seen = (id(graph), graph.version, definition, strip_default_attrs, *map(id, values))
        if seen != self._seen:
            self._encoded = export_meta_graph_def(graph, saver_def=saver_def, strip_default_attrs=strip_default_attrs)
            self._seen, self._kept = seen, [graph, *values]
        return self._encoded
