"""All objects that a root leads to, in the order in which TensorFlow numbers them.

Source: python/checkpoint/trackable_view.py and util.py.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.errors import StructureError
from cloudckpt.objects.object_graph.names import child_path, slot_path
from cloudckpt.objects.object_graph.recognise import as_node

if TYPE_CHECKING:
    from cloudckpt.objects.object_graph.node import Node, SlotVariable

__all__ = ["WalkedGraph", "WalkedObject", "WalkedSlot", "list_nodes", "walk"]


class WalkedSlot(NamedTuple):
    """A slot variable of an optimizer; objects by their ids."""

    variable: int
    name: str
    slot: int


@dataclass(slots=True)
class WalkedObject:
    """An object of the graph, and how it was found."""

    node: Node
    parent: WalkedObject | None = None
    """None for the root, and for slot variables"""
    name: str = ""
    """its name within the parent"""
    children: list[tuple[str, int]] = field(default_factory=list)
    """names and ids"""
    slots: list[WalkedSlot] = field(default_factory=list)
    slot_path: str | None = None
    """a slot variable's path"""

    def path(self) -> str:
        """What leads to it from the root, a shortest way, as its keys begin."""
        if self.slot_path is not None:
            return self.slot_path
        names = []
        at = self
        while at.parent is not None:
            names.append(at.name)
            at = at.parent
        return child_path(names[::-1])


class WalkedGraph:
    """The objects, each at the place that is its id: the root first, the others breadth first, then slot variables."""

    def __init__(self) -> None:
        self.objects: list[WalkedObject] = []
        self._ids: dict[int, int] = {}

    def id_of(self, thing: Any) -> int | None:
        """An object's id; None for what is not in the graph."""
        return self._ids.get(id(thing))

    def add(self, found: WalkedObject) -> int:
        """Give an object the next id."""
        self._ids[id(found.node.thing)] = number = len(self.objects)
        self.objects.append(found)
        return number


def list_nodes(root: Node, *, skip_slots: bool = False) -> list[Node]:
    """The nodes of all objects that a root leads to, itself the first.

    Args:
        root: the root's node.
        skip_slots: leave out slot variables.

    Raises:
        StructureError: as `walk`.
    """
    return [each.node for each in walk(root, skip_slots=skip_slots).objects]


def walk(root: Node, *, skip_slots: bool = False) -> WalkedGraph:
    """The objects that a root leads to. Time and memory are in proportion to them and their children.

    Args:
        root: the root's node; it is used wherever the root is met again.
        skip_slots: leave out slot variables.

    Raises:
        StructureError: an object has a child that is no object of the graph, or was changed in a way that its
            children's names would not survive; or an optimizer's slot variable is another object's child, or itself
            holds others, or is another one's, too.
    """
    graph = WalkedGraph()
    graph.add(WalkedObject(root))
    waiting = deque(graph.objects)
    while waiting:
        here = waiting.popleft()
        for name, thing in here.node.children().items():
            number = graph.id_of(thing)
            if number is None:
                number = graph.add(WalkedObject(_node_of(thing, here, name), here, name))
                waiting.append(graph.objects[number])
            here.children.append((name, number))
    if not skip_slots:
        _add_slots(graph)
    return graph


def _node_of(thing: Any, parent: WalkedObject, name: str) -> Node:
    if (node := as_node(thing)) is None:
        raise StructureError(
            f"{parent.path() or 'the root'!r} has a child {name!r} of {_kind(thing)}, which can't be saved by object: "
            "assign it as NoDependency(…) to leave it out"
        )
    return node


def _kind(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _add_slots(graph: WalkedGraph) -> None:
    things = [each.node.thing for each in graph.objects]
    for optimizer in list(graph.objects):
        for slot in optimizer.node.slots(things):
            variable = graph.id_of(slot.variable)
            if variable is not None:
                path = slot_path(graph.objects[variable].path(), optimizer.path(), slot.name)
                number = graph.add(WalkedObject(_slot_node(graph, slot, path), slot_path=path))
                optimizer.slots.append(WalkedSlot(variable, slot.name, number))


def _slot_node(graph: WalkedGraph, slot: SlotVariable, path: str) -> Node:
    node = as_node(slot.slot)
    if node is None:
        raise StructureError(f"the slot variable {path!r} can't be saved: it is of {_kind(slot.slot)}")
    if (other := graph.id_of(slot.slot)) is not None:
        known = graph.objects[other].path()
        raise StructureError(f"the slot variable {path!r} can't be saved: it is in the graph already, as {known!r}")
    if node.children():
        raise StructureError(
            f"the slot variable {path!r} can't be saved: other objects are in it, {list(node.children())}"
        )
    return node
