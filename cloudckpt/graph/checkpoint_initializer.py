"""The nodes by which a variable's initializer reads its value from a checkpoint.

Names, inputs, attributes and devices are those of TensorFlow 2.21 (python/training/checkpoint_utils.py,
_set_checkpoint_initializer; found by looking at graphs that it made).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.graph.savers.constants import add_string, add_strings
from cloudckpt.graph.savers.variable_operations import RESOURCE_VARIABLES, add_assignment_of_restored
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import Tensor
from cloudckpt.variables.variable_nodes import add_assignment

if TYPE_CHECKING:
    from cloudckpt.graph.savers.save_plan import SavedTensor
    from cloudckpt.variables.graphs.operation import Operation

__all__ = ["add_checkpoint_initializer"]


def add_checkpoint_initializer(variable: Operation, prefix: str, tensor: SavedTensor) -> tuple[Tensor, Operation]:
    """Add what reads a tensor, on the CPU of the variable's machine, and what assigns it to the variable.

    Args:
        variable: the variable's operation.
        prefix: of the checkpoint.
        tensor: what is to be read; its shape is None where that of the variable is not, or not fully, known.

    Returns:
        The tensor that is read, and the operation that assigns it.
    """
    initial_value, data_type = _read(variable, prefix, tensor), DataType(tensor.data_type)
    if variable.type in RESOURCE_VARIABLES:
        return initial_value, add_assignment_of_restored(variable, initial_value, data_type)
    known = tensor.shape is not None
    return initial_value, add_assignment(
        variable, data_type, initial_value, "Assign", use_locking=True, validate_shape=known
    )


def _read(variable: Operation, prefix: str, tensor: SavedTensor) -> Tensor:
    graph = variable.graph
    with (
        graph.device(variable.device),
        graph.device("/device:CPU:0"),
        graph.name_scope("checkpoint_initializer") as scope,
    ):
        inputs = (
            add_string(graph, prefix, "prefix").name,
            add_strings(graph, [tensor.name], "tensor_names").name,
            add_strings(graph, [tensor.slice_spec], "shape_and_slices").name,
        )
        attrs = {"dtypes": [DataType(tensor.data_type)]}
        return Tensor(graph.add_operation("RestoreV2", scope, inputs=inputs, attrs=attrs), 0)
