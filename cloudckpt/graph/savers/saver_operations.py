"""The nodes of a saver, and the SaverDef that names them.

Whoever imports the graph saves and restores by running them: TensorFlow does. Nothing here runs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.descriptors import message_class
from cloudckpt.graph.savers.constants import add_string
from cloudckpt.graph.savers.restore_operations import add_restore, add_sharded_restore
from cloudckpt.graph.savers.save_operations import add_save, add_sharded_save
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.graph.savers.save_plan import SavedShard
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["add_saver_operations"]


def add_saver_operations(
    graph: Graph,
    shards: Sequence[SavedShard],
    *,
    name: str | None = None,
    filename: str = "model",
    sharded: bool = False,
    write_version: int = 2,
    reshape: bool = False,
    bulk_restore: bool = True,
    max_to_keep: int | None = 5,
    keep_checkpoint_every_n_hours: float = 10000.0,
) -> Any:
    """Add what TensorFlow's Saver adds to a graph, under a scope of its own, and return its SaverDef.

    Real TensorFlow that imports the graph saves and restores with them. The tensors of reference and of resource
    variables may be mixed. TensorFlow's bulk builder restores one variable after the other anyhow, so there is no node
    for `restore_sequentially`. Linear in the number of tensors.

    Args:
        graph: to add them to.
        shards: what is saved, by device, in the order in which the files are numbered; one after the other in one file
            where not `sharded`. Each tensor's `variable`, where it has one, is an operation of the graph.
        name: of the scope, "save" if None; made unique.
        filename: the prefix that is taken where none is fed.
        sharded: whether each device writes a file.
        write_version: 1 or 2, of the format that is written; both are restored.
        reshape: whether a restore gives tensors the shapes of their variables.
        bulk_restore: whether one node reads all tensors of a shard, as BulkSaverBuilder's does.
        max_to_keep: for the SaverDef; None means 0, which keeps all.
        keep_checkpoint_every_n_hours: for the SaverDef.

    Raises:
        KeyError: the graph has no operation that a tensor names.
    """
    tensors = [tensor for shard in shards for tensor in shard.tensors]
    with graph.name_scope(name or "save"):
        prefix = _add_filename(graph, filename)
        if sharded:
            saved = add_sharded_save(graph, prefix, shards, write_version)
            restored = add_sharded_restore(graph, prefix, shards, reshape=reshape, bulk=bulk_restore)
        else:
            saved = add_save(graph, prefix, tensors, write_version)
            restored = add_restore(graph, prefix, tensors, reshape=reshape, bulk=bulk_restore)
    return message_class("tensorflow.SaverDef")(
        filename_tensor_name=f"{prefix.name}:0",
        save_tensor_name=f"{saved.name}:0",
        restore_op_name=restored.name,
        max_to_keep=max_to_keep or 0,
        sharded=sharded,
        keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
        version=write_version,
    )


def _add_filename(graph: Graph, filename: str) -> Operation:
    with graph.name_scope("filename") as scope:
        default = add_string(graph, filename or "model", "input")
        named = _placeholder(graph, default, scope)
    # The name "Const" is from the time when the filename was one.
    return _placeholder(graph, named, "Const")


def _placeholder(graph: Graph, default: Operation, name: str) -> Operation:
    attrs = {"dtype": DataType.STRING, "shape": ()}
    return graph.add_operation("PlaceholderWithDefault", name, inputs=(default.name,), attrs=attrs)
