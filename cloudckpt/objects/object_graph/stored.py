"""The tree of objects that a checkpoint by object keeps beside its tensors, read and checked as untrusted input.

Such a checkpoint has its values under keys that say where in a tree of objects they hang, such as
"model/layer-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"; the tree itself is one string tensor more, a TrackableObjectGraph.
Objects may refer to each other in circles, and one may have several names.

Sources: core/protobuf/trackable_object_graph.proto; python/checkpoint/checkpoint.py.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError

from cloudckpt.collection import collection_paused
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudckpt.checkpoint.opened import OpenCheckpoint

__all__ = [
    "OBJECT_GRAPH",
    "ROOT",
    "StoredAttribute",
    "StoredGraph",
    "StoredObject",
    "StoredSlot",
    "damaged_graph",
    "is_object_based",
    "read_stored_graph",
]

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The tensor that has the tree."""
ROOT = 0
"""The number of the object that was saved."""

LONGEST_PATH = 300
"""Characters of an object's path in a message: names, and how many there are one below the other, know no limit."""


class StoredAttribute(NamedTuple):
    """A value of an object."""

    name: str
    """what it is to the object, as "VARIABLE_VALUE" """
    full_name: str
    """what a checkpoint by name would call it; "" where it has no such name"""
    key: str
    """the tensor that has it"""


class StoredSlot(NamedTuple):
    """A variable that an optimizer keeps for another one; objects by their numbers."""

    optimizer: int
    original: int
    name: str
    variable: int


class StoredObject(NamedTuple):
    """An object as it was saved."""

    children: tuple[tuple[str, int], ...]
    """names that it had for others, with their numbers; a name may be there twice"""
    attributes: tuple[StoredAttribute, ...]
    slots: tuple[StoredSlot, ...]
    has_values: bool
    """whether it, or anything below it, has a value"""


class StoredGraph:
    """All objects of a checkpoint. An object's number is its place in `objects`; `ROOT` comes first.

    Args:
        objects: with numbers in range.
    """

    def __init__(self, objects: tuple[StoredObject, ...]) -> None:
        self.objects = objects
        self._parents: list[tuple[int, str] | None] | None = None
        self._slots: dict[int, StoredSlot] | None = None

    def slots(self) -> Iterator[StoredSlot]:
        """Those of all optimizers."""
        return (slot for each in self.objects for slot in each.slots)

    def keys(self, numbers: Iterable[int]) -> Iterator[str]:
        """The tensors of some objects."""
        return (attribute.key for number in numbers for attribute in self.objects[number].attributes)

    def path(self, number: int) -> str:
        """What an object is called from the root on, by a shortest way: "model.layers.0"; of a slot variable both ends.

        "(root)" for the root, and the number of what nothing leads to. Very long ones lack their beginning.
        """
        if (way := self._way_to(number)) is not None:
            return way
        if self._slots is None:
            self._slots = {slot.variable: slot for slot in self.slots()}
        if (slot := self._slots.get(number)) is None:
            return f"(object {number})"
        return f"{self._way_to(slot.optimizer)}'s {slot.name[:LONGEST_PATH]!r} of {self._way_to(slot.original)}"

    def _way_to(self, number: int) -> str | None:
        if self._parents is None:
            self._parents = self._find_parents()
        names: list[str] = []
        length = 0
        while number != ROOT:
            if (parent := self._parents[number]) is None:
                return None
            if length > LONGEST_PATH:
                names.append("…")
                break
            number, name = parent
            names.append(name)
            length += len(name) + 1
        return ".".join(reversed(names))[-LONGEST_PATH:] or "(root)"

    def _find_parents(self) -> list[tuple[int, str] | None]:
        parents: list[tuple[int, str] | None] = [None] * len(self.objects)
        waiting = deque([ROOT])
        while waiting:
            number = waiting.popleft()
            for name, child in self.objects[number].children:
                if child != ROOT and parents[child] is None:
                    parents[child] = number, name
                    waiting.append(child)
        return parents


def is_object_based(checkpoint: OpenCheckpoint) -> bool:
    """Whether the checkpoint was written by object. No request."""
    return OBJECT_GRAPH in checkpoint.tensors


def read_stored_graph(checkpoint: OpenCheckpoint) -> StoredGraph:
    """The tree of objects.

    Raises:
        TensorNotFoundError: the checkpoint was not written by object.
        CheckpointDamagedError: what it has in the tree's place is none; or an object of it refers to one that is not
            there.
        CloudckptError: and what `OpenCheckpoint.read` raises.

    Cost: a ranged GET. Memory in proportion to what is stored.
    """
    with collection_paused():
        objects = tuple(_stored_object(number, node) for number, node in enumerate(_nodes(checkpoint)))
    _check_numbers(checkpoint, objects)
    return StoredGraph(objects)


def _nodes(checkpoint: OpenCheckpoint) -> Any:
    tensor = checkpoint.tensors.get(OBJECT_GRAPH)
    if tensor is None:
        raise checkpoint.no_such_tensor(OBJECT_GRAPH)
    if tensor.dtype != DataType.STRING or tensor.shape:
        raise damaged_graph(
            checkpoint, f"is no string, but of the dtype {tensor.dtype} and the shape {list(tensor.shape)}"
        )
    text = checkpoint.read_named([OBJECT_GRAPH])[OBJECT_GRAPH].item()
    try:
        return message_class("tensorflow.TrackableObjectGraph").FromString(text).nodes
    except DecodeError as error:
        raise damaged_graph(checkpoint, "does not parse as a TrackableObjectGraph") from error


def _stored_object(number: int, node: Any) -> StoredObject:
    children = tuple((child.local_name, child.node_id) for child in node.children)
    attributes = tuple(StoredAttribute(each.name, each.full_name, each.checkpoint_key) for each in node.attributes)
    slots = tuple(
        StoredSlot(number, slot.original_variable_node_id, slot.slot_name, slot.slot_variable_node_id)
        for slot in node.slot_variables
    )
    if node.HasField("has_checkpoint_values"):
        has_values = node.has_checkpoint_values.value
    else:
        has_values = bool(children or attributes or slots or node.HasField("registered_saver"))
    return StoredObject(children, attributes, slots, has_values)


def _check_numbers(checkpoint: OpenCheckpoint, objects: tuple[StoredObject, ...]) -> None:
    count = len(objects)
    for number, each in enumerate(objects):
        numbers = (
            *(child for _, child in each.children),
            *(n for slot in each.slots for n in (slot.original, slot.variable)),
        )
        for other in numbers:
            if not 0 <= other < count:
                raise damaged_graph(checkpoint, f"has {count} objects, and object {number} refers to object {other}")


def damaged_graph(checkpoint: OpenCheckpoint, found: str) -> CheckpointDamagedError:
    """The error about a tree of objects."""
    url = checkpoint.prefix.url
    return CheckpointDamagedError(
        f"{url!r} is damaged: its tensor {OBJECT_GRAPH!r}, the tree of objects, {found}", path=url, tensor=OBJECT_GRAPH
    )
