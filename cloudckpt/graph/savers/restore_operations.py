"""The nodes that restore: plain, and by the devices of the variables.

Names, inputs, attributes and devices are those of TensorFlow 2.21 (python/training/saver.py, BaseSaverBuilder and
BulkSaverBuilder; found by looking at graphs that it made).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from cloudckpt.graph.colocation import add_colocated
from cloudckpt.graph.savers.constants import add_constant, add_strings
from cloudckpt.graph.savers.save_operations import cpu_of
from cloudckpt.graph.savers.variable_operations import RESOURCE_VARIABLES, add_assignment_of_restored, readable
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.nodes import group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.graph.savers.save_plan import SavedShard, SavedTensor
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["add_restore", "add_sharded_restore"]


def add_restore(
    graph: Graph,
    prefix: Operation,
    tensors: Sequence[SavedTensor],
    *,
    reshape: bool,
    bulk: bool,
    name: str = "restore_all",
) -> Operation:
    """Read tensors and assign each to its variable; gives the operation to run.

    Args:
        graph: to add it to.
        prefix: gives the checkpoint's name.
        tensors: what to restore; one without a variable is read and not assigned.
        reshape: give each the shape of its variable first.
        bulk: read all at once, on the first CPU; else each on its own.
        name: of the operation to run.
    """
    values = _read_at_once(graph, prefix, tensors) if bulk else _read_each(graph, prefix, tensors)
    pairs = zip(tensors, values, strict=True)
    assigned = [_assign(graph, tensor, value, reshape=reshape) for tensor, value in pairs if tensor.variable]
    return _group(graph, assigned, name)


def add_sharded_restore(
    graph: Graph, prefix: Operation, shards: Sequence[SavedShard], *, reshape: bool, bulk: bool
) -> Operation:
    """Restore the tensors of each device there; gives the operation that runs all of it."""
    restored = []
    for shard in shards:
        with graph.device(shard.device):
            restore = add_restore(graph, prefix, shard.tensors, reshape=reshape, bulk=bulk, name="restore_shard")
            restored.append(restore)
    return _group(graph, restored, "restore_all")


def _read_at_once(graph: Graph, prefix: Operation, tensors: Sequence[SavedTensor]) -> list[str]:
    with graph.device("/device:CPU:0"):
        return _read(graph, prefix, tensors)


def _read_each(graph: Graph, prefix: Operation, tensors: Sequence[SavedTensor]) -> list[str]:
    values = []
    for tensor in tensors:
        device = graph.get_operation_by_name(tensor.variable).device if tensor.variable else ""
        with graph.device(cpu_of(device) if device else ""):
            values += _read(graph, prefix, [tensor])
    return values


def _read(graph: Graph, prefix: Operation, tensors: Sequence[SavedTensor]) -> list[str]:
    with graph.name_scope("RestoreV2") as scope:
        keys = add_strings(graph, [tensor.name for tensor in tensors], "tensor_names")
        specs = add_strings(graph, [tensor.slice_spec for tensor in tensors], "shape_and_slices")
        types = [DataType(tensor.data_type) for tensor in tensors]
        inputs = (prefix.name, keys.name, specs.name)
        restore = graph.add_operation("RestoreV2", scope, inputs=inputs, attrs={"dtypes": types})
    return [restore.name, *[f"{restore.name}:{output}" for output in range(1, len(tensors))]]


def _assign(graph: Graph, tensor: SavedTensor, value: str, *, reshape: bool) -> Operation:
    variable = graph.get_operation_by_name(tensor.variable)
    if reshape:
        value = _reshaped(graph, tensor, value)
    if variable.type in RESOURCE_VARIABLES:
        with graph.device(variable.device):
            return add_assignment_of_restored(variable, value, DataType(tensor.data_type))
    attrs = {
        "T": DataType(tensor.data_type),
        "use_locking": True,
        "validate_shape": tensor.shape is not None and not reshape,
    }
    return add_colocated(graph, variable, "Assign", "Assign", inputs=(variable.name, value), attrs=attrs)


def _reshaped(graph: Graph, tensor: SavedTensor, value: str) -> str:
    measured = _measured_shape(graph, tensor) if tensor.shape is None else None
    with graph.name_scope("Reshape") as scope:
        shape = measured or add_constant(graph, np.array(tensor.shape, np.int32), "shape")
        attrs = {"T": DataType(tensor.data_type), "Tshape": DataType.INT32}
        return graph.add_operation("Reshape", scope, inputs=(value, shape.name), attrs=attrs).name


def _measured_shape(graph: Graph, tensor: SavedTensor) -> Operation:
    attrs = {"T": DataType(tensor.data_type), "out_type": DataType.INT32}
    return graph.add_operation("Shape", "Shape", inputs=(readable(graph, tensor),), attrs=attrs)


def _group(graph: Graph, operations: Sequence[Operation], name: str) -> Operation:
    with graph.as_default():
        return cast("Operation", group(*operations, name=name))
