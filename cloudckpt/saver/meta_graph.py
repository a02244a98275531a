"""`export_meta_graph`: a graph to a `.meta` file, with which TensorFlow goes on.

Source of the behaviour: python/training/saver.py, export_meta_graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.graph.encoding.debug_info import write_debug_info
from cloudckpt.graph.encoding.meta_graph_file import write_meta_graph
from cloudckpt.graph.export import UNBOUND_INPUTS, export_meta_graph_def
from cloudckpt.graph.names import in_scope, strip_scope
from cloudckpt.storage.open import open_location
from cloudckpt.variables.graphs.default_graph import executing_eagerly, get_default_graph
from cloudckpt.variables.graphs.graph import Graph

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["export_meta_graph", "graph_argument", "is_message"]


def export_meta_graph(  # noqa: PLR0917 - TensorFlow's signature
    filename: str | os.PathLike[str] | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    *,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """The MetaGraphDef of a graph, which is also written to a file if one is given.

    TensorFlow's `import_meta_graph` takes it, and so does ours. It says no version of TensorFlow. Messages may be ours
    or TensorFlow's own. Writing costs one PUT, and another one with debug info.

    Args:
        filename: where to write it: a path or URL; None to write nothing.
        meta_info_def: a `MetaInfoDef` to begin with: tags, a version of the user's own.
        graph_def: a `GraphDef` in place of the graph's nodes.
        saver_def: the `SaverDef` of the saver that belongs to it.
        collection_list: the names of the collections to export; all if None.
        as_text: write protobuf's text format.
        graph: the graph; the default one if None.
        export_scope: only what is in this name scope, without it in the names.
        clear_devices: leave out where operations are to run.
        clear_extraneous_savers: leave out savers and their nodes, but for `saver_def`'s.
        strip_default_attrs: leave out attributes that have their op's default, so that older programs read the graph.
        save_debug_info: also write where in the program the operations were made, to a file beside it that ends in
            `.debug`.
        unbound_inputs_col_name: the collection that is to name what `export_scope` takes from outside; None for none.
        storage_options: as `open_checkpoint` takes them.

    Raises:
        RuntimeError: executing eagerly, with no graph given.
        TypeError: a message is of another type, or `graph` no graph.
        InvalidArgumentError: it comes to more than the 2 GiB of a protobuf message.
        StorageError: the store failed.
    """
    graph = graph_argument(graph, "export")
    _check_message("meta_info_def", meta_info_def, "tensorflow.MetaGraphDef.MetaInfoDef")
    _check_message("graph_def", graph_def, "tensorflow.GraphDef")
    _check_message("saver_def", saver_def, "tensorflow.SaverDef")
    meta = export_meta_graph_def(
        graph,
        graph_def=graph_def,
        meta_info_def=meta_info_def,
        saver_def=saver_def,
        collection_list=collection_list,
        export_scope=export_scope,
        clear_devices=clear_devices,
        clear_extraneous_savers=clear_extraneous_savers,
        strip_default_attrs=strip_default_attrs,
        unbound_inputs_col_name=unbound_inputs_col_name,
    )
    if filename is None:
        return meta
    with open_location(filename, storage_options) as file:
        write_meta_graph(file, meta, as_text=as_text)
        if save_debug_info:
            write_debug_info(file, _exported(graph, meta, export_scope), as_text=as_text)
    return meta


def _exported(graph: Graph, meta: Any, export_scope: str | None) -> Iterator[Operation]:
    """The operations of the graph that a MetaGraphDef has nodes of."""
    names = {node.name for node in meta.graph_def.node}
    for operation in graph.get_operations():
        if in_scope(operation.name, export_scope) and strip_scope(operation.name, export_scope) in names:
            yield operation


def graph_argument(graph: Any, purpose: str) -> Graph:
    """The graph that a caller gives, or the default one.

    Args:
        graph: as it was given, or None.
        purpose: what it is wanted for, for the message.

    Raises:
        RuntimeError: executing eagerly, with no graph given.
        TypeError: it is no graph.
    """
    if graph is None and executing_eagerly():
        raise RuntimeError(
            f"executing eagerly there is no graph to {purpose}: pass one, or call this within "
            "`with graph.as_default():`"
        )
    graph = get_default_graph() if graph is None else graph
    if not isinstance(graph, Graph):
        raise TypeError(f"graph must be a Graph, got a {type(graph).__name__}")
    return graph


def is_message(value: Any, full_name: str) -> bool:
    """Whether a value is a protobuf message of that name, ours or of TensorFlow's own classes."""
    return getattr(getattr(value, "DESCRIPTOR", None), "full_name", None) == full_name


def _check_message(argument: str, value: Any, full_name: str) -> None:
    if value is not None and not is_message(value, full_name):
        kind = full_name.rpartition(".")[2]
        raise TypeError(f"{argument} must be a {kind} message, got a {type(value).__name__}")
