"""The nodes that a saver has in a graph, for whoever imports it: which tensors they save, from which operations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.graph.names import operation_of
from cloudckpt.graph.savers.save_plan import SavedShard, SavedTensor
from cloudckpt.graph.savers.saver_operations import add_saver_operations
from cloudckpt.graph.savers.variable_operations import VARIABLES, variable_operation
from cloudckpt.saver.builder import BulkSaverBuilder
from cloudckpt.saver.devices import group_by_device
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.holder import as_holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudckpt.saver.builder import BaseSaverBuilder
    from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["add_nodes"]

_NO_NAME = re.compile(r"[^A-Za-z0-9_.\\/>-]")


def add_nodes(
    graph: Graph,
    saveables: Sequence[SaveableObject],
    builder: BaseSaverBuilder,
    *,
    name: str | None,
    filename: str | None,
    sharded: bool,
    reshape: bool,
    max_to_keep: int | None,
    keep_checkpoint_every_n_hours: float,
) -> Any:
    """Add the nodes with which real TensorFlow saves and restores the same, and return their SaverDef.

    What is saved and is no variable of the graph, such as a parameter of torch, gets a variable there. The values that
    a user's own `SaveableObject` makes on the way are not in the nodes.

    Raises:
        InvalidArgumentError: the tensors of one saveable are on several devices.
        RuntimeError: the graph is finalized.
    """
    groups = group_by_device(saveables) if sharded else {"": saveables}
    shards = [
        SavedShard(device, tuple(tensor for saveable in group for tensor in _tensors(graph, saveable)))
        for device, group in groups.items()
    ]
    return add_saver_operations(
        graph,
        shards,
        name=name,
        filename=filename or "model",
        sharded=sharded,
        write_version=builder.write_version,
        reshape=reshape,
        bulk_restore=isinstance(builder, BulkSaverBuilder),
        max_to_keep=max_to_keep,
        keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
    )


def _tensors(graph: Graph, saveable: SaveableObject) -> Iterator[SavedTensor]:
    for spec in saveable.specs:
        if (tensor := spec.tensor) is None:
            continue
        if isinstance(tensor, Operation | Tensor):
            source, variable = tensor.name, _read_variable(graph, tensor)
            yield SavedTensor(spec.name, spec.slice_spec, source, spec.dtype.as_datatype_enum, None, variable)
        else:
            yield _variable(graph, spec, tensor)


def _variable(graph: Graph, spec: SaveSpec, tensor: Any) -> SavedTensor:
    """A tensor that is a variable's value; one that is no variable of the graph gets an operation."""
    holder, data_type = as_holder(tensor), spec.dtype.as_datatype_enum
    shape = np.shape(tensor) if holder is None else holder.shape
    if holder is not None and getattr(holder.thing, "graph", None) is graph:
        name = holder.name
    else:
        own = (holder.name if holder is not None else "") or spec.name
        name = variable_operation(graph, _operation_name(own), data_type, shape, spec.device or "").name
    return SavedTensor(spec.name, spec.slice_spec, name, data_type, shape, name)


def _read_variable(graph: Graph, tensor: Operation | Tensor) -> str:
    """The variable whose value a tensor is, which a restore assigns to; "" if it is none's."""
    operation = tensor if isinstance(tensor, Operation) else tensor.op
    if operation.type in {"Identity", "ReadVariableOp"} and operation.inputs:
        operation = graph.get_operation_by_name(operation_of(operation.inputs[0]))
    return operation.name if operation.type in VARIABLES else ""


def _operation_name(name: str) -> str:
    """A name that an operation can have, such as TensorFlow would have let its user choose."""
    valid = _NO_NAME.sub("_", name)
    return valid if valid[:1].isalnum() or valid.startswith(".") else f"variable{valid}"
