"""Keras 3's models, layers and optimizers, over JAX, NumPy and PyTorch: the objects that they are over TensorFlow.

So a checkpoint goes from one backend to another. Over TensorFlow they are TensorFlow's own objects (`tensorflow.py`).
Sources: keras/src/backend/tensorflow/{trackable,layer,optimizer}.py, keras/src/utils/tracking.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.objects.foreign.holding import HoldingNode
from cloudckpt.objects.foreign.keras_containers import children_in, container_node, told_values
from cloudckpt.objects.object_graph.node import VARIABLE_VALUE
from cloudckpt.objects.object_graph.own_nodes import VariableNode
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.foreign.imported import is_instance
from cloudckpt.variables.foreign.keras import KerasHolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudckpt.objects.object_graph.node import Attribute, Node
    from cloudckpt.variables.shape import PartialShape

__all__ = ["keras_node"]


class KerasNode(HoldingNode):
    """A model, a layer, an optimizer or a metric."""

    __slots__ = ()

    def children(self) -> Mapping[str, Any]:
        """What its attributes hold: layers, optimizers and variables, and lists, dicts and tuples of them."""
        return children_in(self.thing, told_values(self.thing))


@dataclass(frozen=True, slots=True)
class _Iterations:
    """The number of an optimizer's updates: an int64 over TensorFlow, and so in checkpoints; elsewhere an int32."""

    variable: Attribute
    name: str = VARIABLE_VALUE
    data_type: DataType = DataType.INT64

    @property
    def full_name(self) -> str:
        return self.variable.full_name

    @property
    def shape(self) -> PartialShape:
        return self.variable.shape

    def read(self) -> NDArray[Any]:
        return self.variable.read().astype(np.int64)

    def assign(self, array: NDArray[Any]) -> None:
        self.variable.assign(array.astype(np.int32))


class _IterationsNode(VariableNode):
    """The variable with that number."""

    __slots__ = ()

    def attributes(self) -> Mapping[str, Attribute]:
        """Its value, as an int64."""
        return {name: _Iterations(value) for name, value in super().attributes().items()}


def keras_node(thing: Any) -> Node | None:
    """The node of an object of Keras 3 that is none of TensorFlow's; None for anything else."""
    if (container := container_node(thing)) is not None:
        return container
    if is_instance(thing, "tensorflow.python.trackable.base", "Trackable"):
        return None
    if is_instance(thing, "keras", "Variable"):
        return _variable_node(thing)
    return KerasNode(thing) if is_instance(thing, "keras.src.saving.keras_saveable", "KerasSaveable") else None


def _variable_node(variable: Any) -> VariableNode:
    holder = KerasHolder(variable)
    is_iterations = variable.name == "iteration" and str(variable.dtype) == "int32" and not variable.trainable
    return _IterationsNode(holder) if is_iterations else VariableNode(holder)
