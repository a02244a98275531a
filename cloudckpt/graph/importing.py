"""A MetaGraphDef's nodes, collections and functions into a graph.

Nodes are kept as they are, whatever their ops: what is imported and exported again is the same.

Source: python/framework/meta_graph.py, import_scoped_meta_graph_with_return_elements; core/common_runtime/
graph_constructor.cc for what becomes of the nodes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.collection import collection_paused
from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.collections import SAVER_NAMES
from cloudckpt.graph.encoding.graph_def import PRODUCER
from cloudckpt.graph.export import UNBOUND_INPUTS
from cloudckpt.graph.import_names import ImportNames
from cloudckpt.graph.imported_attrs import ImportedAttrs
from cloudckpt.graph.imported_collections import ImportedCollections
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.graph.scopes import prepend_scope, strip_scope
from cloudckpt.graph.variable_def import variable_of
from cloudckpt.variables.graphs.keys import GraphKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation, Tensor
    from cloudckpt.variables.variable import Variable

__all__ = ["ImportedMetaGraph", "import_meta_graph_def"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImportedMetaGraph:
    """What an import has added to a graph.

    Attributes:
        variables: those of the collection of global variables, and those that only the saver knows of, by their names
            without the scope that they were imported into.
        scope: that scope, "" for none.
        return_elements: the operations and tensors that the caller asked for.
    """

    variables: dict[str, Variable]
    scope: str
    return_elements: list[Operation | Tensor]


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
) -> ImportedMetaGraph:
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
        return_elements: names, without the scope, of operations and tensors to return.
        make_saver: makes a saver of a SaverDef and a scope, for the collection of savers.

    Raises:
        InvalidArgumentError: the message is no graph: a node is there twice, takes what is not there, or has a name
            that none can have; a collection names what is not there; or inputs are unbound.
        RuntimeError: the graph is finalized.
    """
    if graph.finalized:
        raise RuntimeError("the graph is finalized, and cannot be imported into")
    meta = message_class("tensorflow.MetaGraphDef").FromString(meta.SerializeToString())
    tensors = {name: graph.as_graph_element(source).name for name, source in (input_map or {}).items()}
    _check_unbound(meta, unbound_inputs_col_name, tensors)
    _check_returned(meta, return_elements or ())
    scope = graph.unique_name(import_scope or "", mark_as_used=False)
    with graph.name_scope(import_scope or scope) as prefix:
        names = _import_nodes(graph, meta.graph_def, prefix, tensors, clear_devices=clear_devices)
    _import_descriptions(graph, meta)
    collections = ImportedCollections(graph, meta, scope, make_saver)
    collections.add(lambda key: key != unbound_inputs_col_name and restore_collections_predicate(key))
    return ImportedMetaGraph(
        variables=_variables(graph, meta, scope, collections.variables),
        scope=scope,
        return_elements=[_returned(graph, names, name) for name in return_elements or ()],
    )


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
) -> ImportNames:
    before = len(graph.get_operations())
    names = ImportNames(graph, graph_def, prefix, tensors)
    for node in graph_def.node:
        names.rename(node)
        if clear_devices:
            node.device = ""
    names.check_input_map()
    for node in graph_def.node:
        attrs = ImportedAttrs(node)
        added = graph.import_operation(node, name=node.name, inputs=node.input, device=node.device, attrs=attrs)
        node.device = added.device
    versions = graph_def.versions
    graph.producer = min(versions.producer, graph.producer or PRODUCER) if before else versions.producer
    graph.min_consumer = max(versions.min_consumer, graph.min_consumer)
    return names


def _import_descriptions(graph: Graph, meta: Any) -> None:
    for op_def in meta.meta_info_def.stripped_op_list.op:
        graph.op_defs.setdefault(op_def.name, op_def)
    if not meta.graph_def.HasField("library"):
        return
    library = message_class("tensorflow.FunctionDefLibrary")()
    if graph.library is not None:
        library.CopyFrom(graph.library)
    known = {function.signature.name: function for function in library.function}
    for function in meta.graph_def.library.function:
        name = function.signature.name
        if name not in known:
            library.function.append(function)
        elif known[name] != function:
            raise InvalidArgumentError(f"the graph has another function of the name {name!r} already")
    gradients = {gradient.function_name for gradient in library.gradient}
    library.gradient.extend(each for each in meta.graph_def.library.gradient if each.function_name not in gradients)
    graph.library = library


def _variables(graph: Graph, meta: Any, scope: str, found: Sequence[Variable]) -> dict[str, Variable]:
    """Global variables by name, and behind them those that are saved and in no collection."""
    named = graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
    variables = {strip_scope(each.name, scope): each for each in named if each.name.startswith(scope)}
    known = {variable.op.name for variable in (*found, *named)}
    for name in _saved_variables(graph, meta, scope):
        if name not in known:
            known.add(name)
            variable = variable_of(graph.get_operation_by_name(name), trainable=False)
            variables[strip_scope(variable.name, scope)] = variable
    return variables


def _saved_variables(graph: Graph, meta: Any, scope: str) -> list[str]:
    if not meta.HasField("saver_def"):
        return []
    saver_def = message_class("tensorflow.SaverDef")()
    for field in SAVER_NAMES:
        setattr(saver_def, field, prepend_scope(getattr(meta.saver_def, field), scope))
    try:
        plan = find_saver_operations(graph, saver_def)
    except InvalidArgumentError as error:
        # A part of a graph that was exported has none of the saver's nodes: it can be imported, but not restored.
        logger.info("The saver of the imported graph can't be used: %s", error)
        return []
    saved = (tensor for shard in plan.shards for tensor in shard.tensors)
    return [tensor.variable for tensor in (*saved, *plan.restored) if tensor.variable]


def _check_returned(meta: Any, elements: Sequence[str]) -> None:
    known = {node.name for node in meta.graph_def.node} if elements else set()
    for element in elements:
        owner, colon, output = element.partition(":")
        if owner not in known or (colon and not output.isdecimal()):
            raise InvalidArgumentError(f"return_elements names {element!r}, which the graph to import does not have")


def _returned(graph: Graph, names: ImportNames, element: str) -> Operation | Tensor:
    owner, colon, output = element.partition(":")
    return graph.as_graph_element(f"{names.of(owner)}{colon}{output}")
