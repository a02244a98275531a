"""Checkpoints with trees of objects that nobody would save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.descriptors import message_class
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH

if TYPE_CHECKING:
    from pathlib import Path


def key(name: str) -> str:
    return f"{name}/.ATTRIBUTES/VARIABLE_VALUE"


class Graph:
    """A tree of objects in the making; each addition gives the object's number."""

    def __init__(self) -> None:
        self.message = message_class("tensorflow.TrackableObjectGraph")()

    def add(self, *children: tuple[str, int], **values: str) -> int:
        """An object with children, and attributes with their keys."""
        node = self.message.nodes.add()
        for name, number in children:
            node.children.add(local_name=name, node_id=number)
        for name, checkpoint_key in values.items():
            node.attributes.add(name=name, full_name=checkpoint_key, checkpoint_key=checkpoint_key)
        return len(self.message.nodes) - 1

    def variable(self, name: str) -> int:
        return self.add(VARIABLE_VALUE=key(name))

    def slot(self, optimizer: int, name: str, original: int, variable: int) -> None:
        self.message.nodes[optimizer].slot_variables.add(
            slot_name=name, original_variable_node_id=original, slot_variable_node_id=variable
        )

    def encoded(self) -> bytes:
        encoded: bytes = self.message.SerializeToString()
        return encoded


def write(folder: Path, graph: bytes, **tensors: Any) -> str:
    """A checkpoint of a tree and values, by the names of their variables."""
    path = str(folder / "ckpt")
    arrays = {key(name): np.asarray(value) for name, value in tensors.items()}
    with open_prefix(path, {"fsync": False}) as prefix:
        save_tensors(prefix, arrays | {OBJECT_GRAPH: np.array(graph, object)})
    return path
