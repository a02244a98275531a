"""Variables that begin with the values of a checkpoint.

Source: python/training/checkpoint_utils.py, init_from_checkpoint.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.graph.checkpoint_initializer import add_checkpoint_initializer
from cloudckpt.graph.savers.save_plan import SavedTensor
from cloudckpt.ops.inspect import locate_checkpoint
from cloudckpt.ops.requests import tensor_request
from cloudckpt.saver.assignment_map import AssignmentMap
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.default_graph import get_default_graph
from cloudckpt.variables.graphs.operation import Operation
from cloudckpt.variables.scopes.variable_scope import scopes_of
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.saver.saveable_object import VariableSaveable

__all__ = ["init_from_checkpoint"]


def init_from_checkpoint(
    ckpt_dir_or_file: str | os.PathLike[str],
    assignment_map: Mapping[str, Any] | Iterable[tuple[str, Any]],
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Let variables begin with the values that a checkpoint has, under other names or the same.

    A variable of a graph gets another initial value, and an initializer of it: an operation that initializes variables
    gives the checkpoint's values if it is made afterwards, such as `global_variables_initializer()`. In the graph that
    is written beside checkpoints, the initializer reads the checkpoint by a RestoreV2 operation, as TensorFlow's does;
    here the values are read at once, all of them in one go, so that the checkpoint need not stay. Any other variable
    or array that can be assigned to has its value at once.

    Beyond TensorFlow's it takes partitioned variables as they are, and refuses what it finds out only later, or never:
    dtypes that differ, and shapes of parts and of variables in scopes.

    Args:
        ckpt_dir_or_file: a checkpoint's prefix, or a directory, whose latest checkpoint is meant: on any store.
        assignment_map: a mapping, or pairs where a tensor is for several variables, of
            "scope/tensor": a variable, or the name of one that `get_variable` made in the default graph;
            "scope/tensor": a partitioned variable, its name, or a list of its parts;
            "scope/": "other/", a scope for a scope: all variables of "other/" that `get_variable` made, by the rest of
            their names. "/" is the root of the checkpoint, or of the graph.
        storage_options: options of the store, as fsspec takes them.

    Raises:
        InvalidArgumentError: a ValueError: the checkpoint has no such tensor, or one of another dtype or shape; a name
            is neither a variable's nor a scope; parts are of several variables. Nothing was changed.
        TypeError: something in the map is neither a variable nor a name.
        CheckpointPathError: a ValueError: a directory names no checkpoint, or the path is one file of a checkpoint.
        CloudckptError: and what `cloudckpt.load` raises.

    Cost: as `cloudckpt.load` of these tensors.
    """
    named = AssignmentMap(assignment_map, scopes_of(get_default_graph()).store.variables)
    with locate_checkpoint(ckpt_dir_or_file, storage_options) as prefix:
        for saveable, array in read_consistently(prefix, partial(_read, named), whole=False):
            _initialize(saveable, array, prefix.url)


def _read(named: AssignmentMap, checkpoint: OpenCheckpoint) -> list[tuple[VariableSaveable, NDArray[Any]]]:
    saveables = named.saveables(checkpoint)
    requests = [
        tensor_request(checkpoint, spec.name, spec.slice_spec, DataType(spec.dtype.as_datatype_enum))
        for saveable in saveables
        for spec in saveable.specs
    ]
    return [*zip(saveables, checkpoint.read(requests), strict=True)]


def _initialize(saveable: VariableSaveable, array: NDArray[Any], prefix: str) -> None:
    variable, spec = saveable.op, saveable.specs[0]
    if not isinstance(variable, Variable) or not isinstance(variable.op, Operation):
        saveable.holder.assign(array)
        return
    tensor = SavedTensor(
        spec.name, spec.slice_spec, variable.name, variable.data_type, saveable.holder.shape, variable.op.name
    )
    variable.begin_with(*add_checkpoint_initializer(variable.op, prefix, tensor), array)
