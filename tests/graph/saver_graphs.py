"""Small graphs with savers, and their nodes as messages to be damaged."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.graph.savers.save_plan import SavedShard, SavedTensor, SavePlan
from cloudckpt.graph.savers.saver_operations import add_saver_operations
from cloudckpt.graph.savers.variable_operations import variable_operation
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.graph import Graph

__all__ = ["graph_of", "node_of", "plan_of", "saved", "strings", "with_saver"]


def saved(name: str, shape: tuple[int, ...] | None = (2,), slice_spec: str = "", key: str = "") -> SavedTensor:
    """A float32 variable as a saver takes it."""
    return SavedTensor(key or name, slice_spec, f"{name}:0", DataType.FLOAT, shape, name)


def graph_of(*tensors: SavedTensor, device: str = "") -> Graph:
    """A graph with a variable for each of these."""
    graph = Graph()
    for tensor in tensors:
        variable_operation(graph, tensor.variable, tensor.data_type, tensor.shape, device)
    return graph


def with_saver(*tensors: SavedTensor, **options: Any) -> Any:
    """The MetaGraphDef of a graph with a saver."""
    graph = graph_of(*tensors)
    saver_def = add_saver_operations(graph, [SavedShard("", tensors)], **options)
    return export_meta_graph_def(graph, saver_def=saver_def)


def node_of(meta: Any, name: str) -> Any:
    """One node, to be changed."""
    return next(node for node in meta.graph_def.node if node.name == name)


def plan_of(meta: Any) -> SavePlan:
    """What the saver of an imported graph does."""
    graph = Graph()
    import_meta_graph_def(graph, meta)
    return find_saver_operations(graph, meta.saver_def)


def strings(*values: bytes) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
