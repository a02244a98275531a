"""`import_meta_graph`: a graph from a `.meta` file of TensorFlow's or ours, and its saver.

Source of the behaviour: python/training/saver.py, import_meta_graph.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from cloudckpt.graph.encoding.meta_graph_file import read_meta_graph
from cloudckpt.graph.export import UNBOUND_INPUTS
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.saver.meta_graph import graph_argument, is_message
from cloudckpt.saver.saver import Saver
from cloudckpt.storage.open import open_location
from cloudckpt.variables.graphs.keys import GraphKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["import_meta_graph"]

logger = logging.getLogger(__name__)


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    *,
    graph: Graph | None = None,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] = bool,
    return_elements: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Saver | None:
    """Add a graph that was exported to the default graph, and make a saver that restores its variables.

    All its nodes are there then, also those that a `Session` of this package can't run, and are in the `.meta` of the
    next save. Its variables come back without values: restore them. One GET where a file is given.

    Args:
        meta_graph_or_file: the path or URL of a `.meta` file in bytes or text, or a `MetaGraphDef` message.
        clear_devices: forget where operations are to run.
        import_scope: a name scope to put everything into.
        graph: to add it to in place of the default one.
        input_map: tensors by the names of inputs of the imported graph that they are to replace, such as what its
            collection of unbound inputs names.
        unbound_inputs_col_name: the collection that names the inputs which `input_map` must replace.
        restore_collections_predicate: says by its name whether a collection is wanted.
        return_elements: names that the graph must have.
        storage_options: as `open_checkpoint` takes them; the saver keeps them.

    Returns:
        A saver by the graph's SaverDef; where it has none, one of all variables of the graph; None where there are no
        variables either.

    Raises:
        RuntimeError: executing eagerly, with no graph given; or the graph is finalized.
        CheckpointNotFoundError: there is no such file.
        CheckpointDamagedError: it is no MetaGraphDef.
        InvalidArgumentError: the graph is not whole, or inputs are unbound; a ValueError.
        TypeError: `meta_graph_or_file` is neither a path nor a MetaGraphDef, or `graph` no graph.
        StorageError: the store failed.
    """
    graph = graph_argument(graph, "import into")
    meta = _meta_graph(meta_graph_or_file, storage_options)
    with graph.as_default():
        scope = import_meta_graph_def(
            graph,
            meta,
            clear_devices=clear_devices,
            import_scope=import_scope,
            input_map=input_map,
            unbound_inputs_col_name=unbound_inputs_col_name,
            restore_collections_predicate=restore_collections_predicate,
            return_elements=return_elements,
            make_saver=Saver.from_proto,
        )
        return _saver(graph, meta, scope, storage_options)


def _meta_graph(source: Any, storage_options: Mapping[str, Any] | None) -> Any:
    if is_message(source, "tensorflow.MetaGraphDef"):
        return source
    if not isinstance(source, str | bytes | os.PathLike):
        raise TypeError(f"meta_graph_or_file must be a path or a MetaGraphDef, got a {type(source).__name__}")
    with open_location(os.fsdecode(source), storage_options) as file:
        return read_meta_graph(file)


def _saver(graph: Graph, meta: Any, scope: str, storage_options: Mapping[str, Any] | None) -> Saver | None:
    if meta.HasField("saver_def"):
        return Saver(saver_def=meta.saver_def, name=scope or None, storage_options=storage_options)
    keys = (GraphKeys.GLOBAL_VARIABLES, GraphKeys.SAVEABLE_OBJECTS)
    if any(graph.get_collection(key, scope or None) for key in keys):
        return Saver(storage_options=storage_options)
    logger.info("The imported graph has no variables, so there is no saver to restore them")
    return None
