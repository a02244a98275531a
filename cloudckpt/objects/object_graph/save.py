"""Saving the objects of a graph: their tensors, and the one that says how they hold each other.

Source: python/checkpoint/save_util.py and util.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.collection import collection_paused
from cloudckpt.descriptors import message_class
from cloudckpt.errors import StructureError
from cloudckpt.objects.object_graph.names import attribute_key, escaped
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH
from cloudckpt.objects.object_graph.walk import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.objects.object_graph.node import Attribute, Node
    from cloudckpt.objects.object_graph.walk import WalkedGraph, WalkedObject

__all__ = ["tensors_of_objects"]


@collection_paused()
def tensors_of_objects(root: Node) -> dict[str, NDArray[Any]]:
    """The tensors of all objects that a root leads to, as `tf.train.Checkpoint` names them, with that of the graph.

    Variables' arrays are not copied; those of variables of a graph are their own, not a session's. Real
    `tf.train.Checkpoint` restores a checkpoint of these tensors.

    Args:
        root: the root's node.

    Raises:
        StructureError: as `walk`; or a name is not valid UTF-8, or two tensors come to one key.
        TypeError: a value can't be saved; the message has its key.
        Exception: what the `serialize` of a `PythonState` raises.
    """
    graph = walk(root)
    tensors: dict[str, NDArray[Any]] = {}
    message = message_class("tensorflow.TrackableObjectGraph")()
    for found in graph.objects:
        stored = message.nodes.add()
        _describe_references(found, stored)
        _take_values(found, stored, tensors)
    for stored, has_values in zip(message.nodes, _with_values(graph, message), strict=True):
        stored.has_checkpoint_values.value = has_values
    tensors[OBJECT_GRAPH] = np.array(message.SerializeToString(), object)
    return tensors


def _describe_references(found: WalkedObject, stored: Any) -> None:
    try:
        for name, number in found.children:
            stored.children.add(node_id=number, local_name=name)
        for slot in found.slots:
            stored.slot_variables.add(
                original_variable_node_id=slot.variable, slot_name=slot.name, slot_variable_node_id=slot.slot
            )
    except UnicodeEncodeError as error:
        raise StructureError(f"{error.object!r}, a name in {found.path()!r}, is not valid UTF-8") from error


def _take_values(found: WalkedObject, stored: Any, tensors: dict[str, NDArray[Any]]) -> None:
    attributes = found.node.attributes()
    path = found.path() if attributes else ""
    for name, attribute in attributes.items():
        # TensorFlow escapes it once for the graph, and that once more for the key.
        local_name = escaped(name)
        key = attribute_key(path, local_name)
        if key in tensors:
            raise StructureError(f"two tensors of objects come to the key {key!r}", tensor=key)
        tensors[key] = _read(key, attribute)
        stored.attributes.add(name=local_name, checkpoint_key=key, full_name=attribute.full_name)


def _read(key: str, attribute: Attribute) -> NDArray[Any]:
    try:
        return attribute.read()
    except TypeError as error:
        raise TypeError(f"{key!r} can't be saved: {error}") from error


def _with_values(graph: WalkedGraph, message: Any) -> list[bool]:
    """Of each object, whether it or one that it leads to has values."""
    parents: list[list[int]] = [[] for _ in graph.objects]
    for number, found in enumerate(graph.objects):
        for _, child in found.children:
            parents[child].append(number)
    has_values = [bool(stored.attributes or stored.slot_variables) for stored in message.nodes]
    waiting = [number for number, has in enumerate(has_values) if has]
    while waiting:
        for parent in parents[waiting.pop()]:
            if not has_values[parent]:
                has_values[parent] = True
                waiting.append(parent)
    return has_values
