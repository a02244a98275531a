"""A MetaGraphDef's nodes, collections and functions into a graph.

Nodes are kept as they are, whatever their ops: what is imported and exported again is the same.

Source: python/framework/meta_graph.py, import_scoped_meta_graph_with_return_elements; core/common_runtime/
graph_constructor.cc for what becomes of the nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.collection import collection_paused
from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.graph_def import PRODUCER
from cloudckpt.graph.export import UNBOUND_INPUTS
from cloudckpt.graph.import_names import ImportNames
from cloudckpt.graph.imported_attrs import ImportedAttrs
from cloudckpt.graph.imported_collections import ImportedCollections
from cloudckpt.variables.graphs.device import merged_device

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["import_meta_graph_def"]


@collection_paused()
def import_meta_graph_def(
    graph: Graph,
    meta: Any,
    *,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] = bool,
    return_elements: Sequence[str] | None = None,
    make_saver: Callable[[Any, str], Any] | None = None,
) -> str:
    """Add the nodes of a MetaGraphDef to a graph, and its collections, functions and descriptions of ops.

    A node whose name the graph has already gets another one, as in TensorFlow; the collections and the SaverDef don't
    follow, and so mean the older node. Linear in the size of both graphs. Either all nodes are added or none.

    Args:
        graph: to add them to.
        meta: a MetaGraphDef message, ours or TensorFlow's; it is copied.
        clear_devices: leave out where nodes are to run.
        import_scope: a name scope to put them into, made unique.
        input_map: tensors of the graph by the names of inputs that they are to replace.
        unbound_inputs_col_name: the collection that names the inputs which `input_map` must replace.
        restore_collections_predicate: says by its name whether a collection is wanted.
        return_elements: names, without the scope, of operations and tensors that the message must have.
        make_saver: makes a saver of a SaverDef and a scope, for the collection of savers.

    Returns:
        The scope, "" for none.

    Raises:
        InvalidArgumentError: the message is no graph: a node is there twice, takes what is not there, or has a name
            or device that none can have; a collection names what is not there. Or inputs are unbound, or the graph has
            another function of a name.
        RuntimeError: the graph is finalized.
    """
    if graph.finalized:
        raise RuntimeError("the graph is finalized, and cannot be imported into")
    meta = message_class("tensorflow.MetaGraphDef").FromString(meta.SerializeToString())
    tensors = {name: graph.as_graph_element(source).name for name, source in (input_map or {}).items()}
    _check_unbound(meta, unbound_inputs_col_name, tensors)
    _check_returned(meta, return_elements or ())
    library = _merged_library(graph.library, meta.graph_def)
    scope = graph.unique_name(import_scope or "", mark_as_used=False)
    with graph.name_scope(import_scope or scope) as prefix:
        _import_nodes(graph, meta.graph_def, prefix, tensors, clear_devices=clear_devices)
    graph.library = library
    for op_def in meta.meta_info_def.stripped_op_list.op:
        graph.op_defs.setdefault(op_def.name, op_def)
    collections = ImportedCollections(graph, meta, scope, make_saver)
    collections.add(lambda key: key != unbound_inputs_col_name and restore_collections_predicate(key))
    return scope


def _check_unbound(meta: Any, name: str | None, tensors: Mapping[str, str]) -> None:
    if not name or name not in meta.collection_def:
        return
    unbound = {value.decode("utf-8", "replace") for value in meta.collection_def[name].bytes_list.value}
    if missing := sorted(unbound - tensors.keys()):
        raise InvalidArgumentError(
            f"the graph takes {', '.join(missing)} from outside of the scope that was exported: pass an input_map that "
            "says what they stand for here"
        )


def _import_nodes(
    graph: Graph, graph_def: Any, prefix: str, tensors: Mapping[str, str], *, clear_devices: bool
) -> None:
    before = len(graph.get_operations())
    names = ImportNames(graph, graph_def, prefix, tensors)
    for node in graph_def.node:
        names.rename(node)
        if node.device:
            node.device = "" if clear_devices else _canonical_device(node)
    names.check_input_map()
    for node in graph_def.node:
        attrs = ImportedAttrs(node)
        added = graph.import_operation(node, name=node.name, inputs=node.input, device=node.device, attrs=attrs)
        node.device = added.device
    versions = graph_def.versions
    graph.producer = min(versions.producer, graph.producer or PRODUCER) if before else versions.producer
    graph.min_consumer = max(versions.min_consumer, graph.min_consumer)


def _canonical_device(node: Any) -> str:
    try:
        return merged_device("", node.device)
    except ValueError as error:
        raise InvalidArgumentError(f"node {node.name!r}: {error}") from error


def _merged_library(known: Any, graph_def: Any) -> Any:
    """The functions of a graph with those of a GraphDef; None if both say nothing of functions."""
    if not graph_def.HasField("library"):
        return known
    imported = graph_def.library
    if known is None:
        return imported
    library = message_class("tensorflow.FunctionDefLibrary")()
    library.CopyFrom(known)
    functions = {function.signature.name: function for function in library.function}
    for function in imported.function:
        name = function.signature.name
        if functions.setdefault(name, function) is function:
            library.function.append(function)
        elif functions[name] != function:
            raise InvalidArgumentError(f"the graph has another function of the name {name!r} already")
    gradients = {gradient.function_name for gradient in library.gradient}
    library.gradient.extend(each for each in imported.gradient if each.function_name not in gradients)
    return library


def _check_returned(meta: Any, elements: Sequence[str]) -> None:
    known = {node.name for node in meta.graph_def.node} if elements else set()
    for element in elements:
        owner, colon, output = element.partition(":")
        if owner not in known or (colon and not output.isdecimal()):
            raise InvalidArgumentError(f"return_elements names {element!r}, which the graph to import does not have")
