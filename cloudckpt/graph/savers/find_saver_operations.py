"""What an existing saver's nodes save and restore, whoever made them: ours, TensorFlow 1's and 2's.

The nodes are only looked at, from those that a SaverDef names backwards; nothing is run.

Sources: core/ops/io_ops.cc for the nodes that read and write; python/training/saver.py and, for TensorFlow 2,
python/checkpoint/functional_saver.py for how they are put together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.graph.names import operation_of
from cloudckpt.graph.savers.found_restores import FoundRestores
from cloudckpt.graph.savers.found_saves import FoundSaves
from cloudckpt.graph.savers.save_plan import SavePlan
from cloudckpt.graph.savers.tracing import Tracing

if TYPE_CHECKING:
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["find_saver_operations"]

_V2 = 2


def find_saver_operations(graph: Graph, saver_def: Any) -> SavePlan:
    """Find what the nodes that a SaverDef names save and restore. Linear in the size of the graph.

    Args:
        graph: where the nodes are: our own, or imported ones of whatever version of TensorFlow.
        saver_def: a SaverDef message, its names as they are in this graph.

    Raises:
        InvalidArgumentError: a node that it names is not there, or the nodes fit no saver; the message names which.
    """
    tracing = Tracing(graph)
    saves = FoundSaves(tracing, tracing.body.node(operation_of(saver_def.save_tensor_name)))
    restores = FoundRestores(tracing, tracing.body.node(operation_of(saver_def.restore_op_name)))
    return SavePlan(
        shards=saves.shards,
        restored=restores.tensors(saves),
        # TensorFlow 2's does not say it.
        sharded=saver_def.sharded or len(saves.shards) > 1,
        version=saves.version,
        filename=_default_filename(tracing, saver_def.filename_tensor_name),
        constants=saves.constants,
    )


def _default_filename(tracing: Tracing, name: str) -> str:
    prefix = tracing.origin(tracing.body.output(name), frozenset({"Identity", "PlaceholderWithDefault"}))
    # That of TensorFlow 2 is a placeholder, which must be fed.
    return tracing.strings(prefix, "names of a file", 1)[0] if prefix.node.type == "Const" else ""
