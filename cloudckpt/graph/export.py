"""A graph as a MetaGraphDef: its nodes, what their ops are, its collections and its saver.

Source: python/framework/meta_graph.py, export_scoped_meta_graph and create_meta_graph_def.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.collection import collection_paused
from cloudckpt.descriptors import message_class
from cloudckpt.graph.collections import encode_collection
from cloudckpt.graph.encoding.default_attrs import strip_default_attrs as strip_defaults
from cloudckpt.graph.encoding.graph_def import encode_graph
from cloudckpt.graph.encoding.op_defs import used_op_defs
from cloudckpt.graph.export_scope import exported_graph_def
from cloudckpt.graph.savers.extraneous_savers import extraneous_saver_nodes
from cloudckpt.variables.graphs.keys import GraphKeys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["UNBOUND_INPUTS", "export_meta_graph_def"]

UNBOUND_INPUTS = "unbound_inputs"
"""The collection that names what an exported scope takes from outside."""


@collection_paused()
def export_meta_graph_def(
    graph: Graph,
    *,
    graph_def: Any = None,
    meta_info_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str] | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
) -> Any:
    """The MetaGraphDef of a graph, as TensorFlow's `export_meta_graph` makes it. Linear in the size of the graph.

    It says no `tensorflow_version`, since no TensorFlow wrote it: TensorFlow then takes it for one of its newer ones.

    Args:
        graph: whose nodes and collections it has.
        graph_def: a GraphDef message in place of the graph's nodes.
        meta_info_def: a MetaInfoDef message to begin with: tags, the user's version.
        saver_def: the SaverDef of the saver that belongs to it.
        collection_list: the collections to export; all if None.
        export_scope: only the nodes whose names begin with this, without that scope in their names.
        clear_devices: leave out where nodes are to run.
        clear_extraneous_savers: leave out the nodes of other savers than `saver_def`, and the savers themselves.
        strip_default_attrs: leave out attributes that have their op's default.
        unbound_inputs_col_name: the collection that names what an exported scope takes from outside; None for none.

    Raises:
        TypeError: an attribute of an operation can't be one of a node's.
    """
    graph_def = encode_graph(graph) if graph_def is None else graph_def
    excluded = extraneous_saver_nodes(graph_def.node, saver_def) if clear_extraneous_savers else set()
    unbound: list[str] | None = None
    if export_scope or clear_devices or excluded:
        graph_def, unbound = exported_graph_def(graph_def, export_scope, excluded, clear_devices=clear_devices)
    meta = message_class("tensorflow.MetaGraphDef")()
    _set_info(meta, graph, graph_def, meta_info_def)
    meta.graph_def.MergeFromString(graph_def.SerializeToString())
    if strip_default_attrs:
        op_defs = {op_def.name: op_def for op_def in meta.meta_info_def.stripped_op_list.op}
        strip_defaults(meta.graph_def, op_defs)
        meta.meta_info_def.stripped_default_attrs = True
    if saver_def is not None:
        meta.saver_def.MergeFromString(saver_def.SerializeToString())
    collections = _collections(graph, unbound_inputs_col_name, unbound)
    if clear_extraneous_savers and GraphKeys.SAVERS in collections:
        collections[GraphKeys.SAVERS] = [] if saver_def is None else [saver_def]
    for key in collections if collection_list is None else collection_list:
        values = collections.get(key, [])
        encoded = encode_collection(graph, key, values, export_scope=export_scope, excluded=excluded)
        if encoded is not None:
            meta.collection_def[key].CopyFrom(encoded)
    return meta


def _set_info(meta: Any, graph: Graph, graph_def: Any, meta_info_def: Any) -> None:
    info = meta.meta_info_def
    info.SetInParent()
    if meta_info_def is not None:
        info.MergeFromString(meta_info_def.SerializeToString())
    if not info.stripped_op_list.op:
        info.stripped_op_list.op.extend(used_op_defs(graph_def, graph.op_defs).values())


def _collections(graph: Graph, unbound_name: str | None, unbound: list[str] | None) -> dict[str, list[Any]]:
    collections: dict[str, list[Any]] = {key: graph.get_collection(key) for key in graph.collections}
    if unbound_name and unbound is not None:
        collections.pop(unbound_name, None)
        collections.update({unbound_name: list(unbound)} if unbound else {})
    return collections
