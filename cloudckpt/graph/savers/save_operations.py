"""The nodes that save: plain, in shards of the V2 format, in shards of the V1 format.

Names, inputs, attributes and devices are those of TensorFlow 2.21 (python/training/saver.py, BaseSaverBuilder; found by
looking at graphs that it made), so that whoever looks for one of its nodes by name finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.graph.colocation import add_colocated
from cloudckpt.graph.savers.constants import add_constant, add_string, add_strings
from cloudckpt.graph.savers.variable_operations import readable
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.device import merged_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.graph.savers.save_plan import SavedShard, SavedTensor
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["add_save", "add_sharded_save", "cpu_of"]

V1 = 1
_STRING = {"T": DataType.STRING}


def add_save(graph: Graph, prefix: Operation, tensors: Sequence[SavedTensor], version: int) -> Operation:
    """Save tensors in one file; gives the prefix, once they are saved."""
    saved = _save(graph, prefix, tensors, version)
    inputs = [prefix.name, f"^{saved.name}"]
    return add_colocated(graph, prefix, "Identity", "control_dependency", inputs=inputs, attrs=_STRING)


def add_sharded_save(graph: Graph, prefix: Operation, shards: Sequence[SavedShard], version: int) -> Operation:
    """Save each shard in a file of its own, on its device; gives the name of the whole, once they are all saved."""
    return _sharded_v1(graph, prefix, shards) if version == V1 else _sharded_v2(graph, prefix, shards)


def cpu_of(device: str) -> str:
    """The first CPU of the task that a device belongs to: strings are there, and files are written there."""
    return merged_device(device, "/device:CPU:0")


def _save(graph: Graph, prefix: Operation, tensors: Sequence[SavedTensor], version: int) -> Operation:
    sources = [readable(graph, tensor) for tensor in tensors]
    kind, name, slices, types = (
        ("SaveSlices", "save", "shapes_and_slices", "T")
        if version == V1
        else ("SaveV2", "SaveV2", "shape_and_slices", "dtypes")
    )
    with graph.name_scope(name) as scope:
        keys = add_strings(graph, [tensor.name for tensor in tensors], "tensor_names")
        specs = add_strings(graph, [tensor.slice_spec for tensor in tensors], slices)
        return graph.add_operation(
            kind,
            scope,
            inputs=(prefix.name, keys.name, specs.name, *sources),
            attrs={types: [DataType(tensor.data_type) for tensor in tensors]},
        )


def _sharded_v1(graph: Graph, prefix: Operation, shards: Sequence[SavedShard]) -> Operation:
    count = _number(graph, len(shards), "num_shards")
    saved = []
    for number, shard in enumerate(shards):
        with graph.device(shard.device):
            filename = _sharded_filename(graph, prefix, number, count)
            saved.append(_save_shard(graph, filename, shard, V1))
    after = _control_inputs(saved)
    return graph.add_operation("ShardedFilespec", "ShardedFilespec", inputs=(prefix.name, count.name, *after))


def _sharded_v2(graph: Graph, prefix: Operation, shards: Sequence[SavedShard]) -> Operation:
    temporary = _temporary_prefix(graph, prefix)
    count = _number(graph, len(shards), "num_shards")
    filenames, saved = [], []
    for number, shard in enumerate(shards):
        with graph.device(cpu_of(shard.device)):
            filenames.append(_sharded_filename(graph, temporary, number, count))
            saved.append(_save_shard(graph, filenames[-1], shard, 2))
    with graph.device(cpu_of(shards[-1].device)):
        return _merge(graph, prefix, filenames, _control_inputs(saved))


def _save_shard(graph: Graph, filename: Operation, shard: SavedShard, version: int) -> Operation:
    saved = _save(graph, filename, shard.tensors, version)
    inputs = [filename.name, f"^{saved.name}"]
    return add_colocated(graph, filename, "Identity", "control_dependency", inputs=inputs, attrs=_STRING)


def _temporary_prefix(graph: Graph, prefix: Operation) -> Operation:
    """Where the shards are before they are merged: a folder, or on S3 a name beside the checkpoint's."""
    with graph.device("CPU"):
        is_s3 = graph.add_operation(
            "StaticRegexFullMatch", "StaticRegexFullMatch", inputs=(prefix.name,), attrs={"pattern": "^s3://.*"}
        )
        suffixes = add_string(graph, ".part"), add_string(graph, "_temp/part")
        inputs = (is_s3.name, *[suffix.name for suffix in suffixes])
        suffix = graph.add_operation("Select", "Select", inputs=inputs, attrs=_STRING)
        joined = (prefix.name, suffix.name)
        return graph.add_operation("StringJoin", "StringJoin", inputs=joined, attrs={"N": 2, "separator": ""})


def _merge(graph: Graph, prefix: Operation, filenames: Sequence[Operation], after: Sequence[str]) -> Operation:
    with graph.name_scope("MergeV2Checkpoints") as scope:
        prefixes = graph.add_operation(
            "Pack",
            "checkpoint_prefixes",
            inputs=(*[filename.name for filename in filenames], *after),
            attrs={"N": len(filenames), "axis": 0, **_STRING},
        )
        merged = graph.add_operation(
            "MergeV2Checkpoints",
            scope,
            inputs=(prefixes.name, prefix.name),
            attrs={"allow_missing_files": False, "delete_old_dirs": True},
        )
    return graph.add_operation("Identity", "Identity", inputs=(prefix.name, *after, f"^{merged.name}"), attrs=_STRING)


def _sharded_filename(graph: Graph, prefix: Operation, number: int, count: Operation) -> Operation:
    with graph.name_scope("ShardedFilename") as scope:
        shard = _number(graph, number, "shard")
        return graph.add_operation("ShardedFilename", scope, inputs=(prefix.name, shard.name, count.name))


def _number(graph: Graph, value: int, name: str) -> Operation:
    return add_constant(graph, np.array(value, np.int32), name)


def _control_inputs(operations: Sequence[Operation]) -> list[str]:
    return [f"^{operation.name}" for operation in operations]
