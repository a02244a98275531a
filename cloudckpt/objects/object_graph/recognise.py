"""Which things are objects of the graph: ours, and those of the frameworks that the program has imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.objects.foreign.keras import keras_node
from cloudckpt.objects.foreign.tensorflow import tensorflow_node
from cloudckpt.objects.foreign.torch import torch_node
from cloudckpt.objects.object_graph.own_nodes import array_node, trackable_node, variable_node

if TYPE_CHECKING:
    from cloudckpt.objects.object_graph.node import Node

__all__ = ["as_node"]

_RECOGNISERS = (
    trackable_node,
    variable_node,
    keras_node,
    tensorflow_node,
    torch_node,
    array_node,  # last: it takes whatever looks like a variable
)


def as_node(thing: Any) -> Node | None:
    """The node of an object; None for what can be no object of the graph, such as a number, a text or a plain list.

    Args:
        thing: a `Trackable`, a `PythonState`, a tracked list, dict or tuple; a `Variable`; an object of another
            framework that has state; or an array or tensor that can be assigned to.

    Raises:
        TypeError: it is a variable whose value can't be known; the message says what to do.
    """
    for recognise in _RECOGNISERS:
        if (node := recognise(thing)) is not None:
            return node
    return None
