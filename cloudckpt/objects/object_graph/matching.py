"""Which object of a program is which object of a checkpoint: both graphs are walked side by side, breadth first.

Names lead from one object to the next. Whatever a checkpoint says, each of its objects is met once at most.
Source of the order: python/checkpoint/restore.py.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.objects.object_graph.last_restored import last_restored, weakly
from cloudckpt.objects.object_graph.names import escaped
from cloudckpt.objects.object_graph.node import PYTHON_STATE, SlotMaker
from cloudckpt.objects.object_graph.recognise import as_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloudckpt.objects.object_graph.node import Attribute, Node
    from cloudckpt.objects.object_graph.stored import StoredGraph, StoredSlot

__all__ = ["Assignment", "Match", "Matching", "Wait"]


class Assignment(NamedTuple):
    """A stored value, and what takes it."""

    number: int
    """of the stored object that has it"""
    key: str
    attribute: Attribute


class Wait(NamedTuple):
    """A stored object, and the object that may get a child of its name yet."""

    parent: Node
    name: str
    number: int


class SlotWait(NamedTuple):
    """A stored slot variable, and the optimizer that may make it yet."""

    optimizer: SlotMaker
    original: Any
    slot: StoredSlot


@dataclass(slots=True)
class Match:
    """What one walk found."""

    met: list[tuple[int, Node]] = field(default_factory=list)
    """all that were met, with the stored objects' numbers, which lets their objects live as long"""
    things: dict[int, Any] = field(default_factory=dict)
    """the objects that take values, by identity"""
    assignments: list[Assignment] = field(default_factory=list)
    lacking: list[tuple[int, Attribute]] = field(default_factory=list)
    """values of objects that the checkpoint has other values of"""
    waits: list[Wait] = field(default_factory=list)
    slots: list[StoredSlot] = field(default_factory=list)
    """those whose both ends are there"""
    slot_waits: list[SlotWait] = field(default_factory=list)


class Matching:
    """The objects of a program that are bound to those of a checkpoint, for as long as the program has them.

    Args:
        graph: the checkpoint's.
        restore: the number of the restore.
        skip_slots: leave out slot variables.
    """

    def __init__(self, graph: StoredGraph, restore: int, *, skip_slots: bool) -> None:
        self.graph = graph
        self.skip_slots = skip_slots
        self.unused: dict[int, list[str]] = {}
        """stored attributes that their objects lack, by the objects' numbers"""
        self.met: set[int] = set()
        """the numbers of objects that were ever bound"""
        self.settled: set[int] = set()
        """those of them that have got what the checkpoint has for them, or keep what a later one had"""
        self._restore = restore
        self._bound: dict[int, Callable[[], Any]] = {}
        self._slots: defaultdict[int, list[StoredSlot]] = defaultdict(list)
        """those of an object, at either end, by its number"""
        self._slots_met: set[StoredSlot] = set()
        if not skip_slots:
            for slot in graph.slots():
                for end in {slot.optimizer, slot.original}:
                    self._slots[end].append(slot)

    def bound(self, number: int) -> Any:
        """The object that a stored one is; None where there is none, or no longer."""
        found = self._bound.get(number)
        return None if found is None else found()

    def all_bound(self) -> Iterator[tuple[int, Any]]:
        """The objects that are bound, and are still there."""
        return ((number, thing) for number, found in self._bound.items() if (thing := found()) is not None)

    def match(self, number: int, node: Node) -> Match:
        """Bind an object and what hangs from it. Nothing outside of this is changed.

        Args:
            number: of the stored object that it is.
            node: the object; nothing is found where the stored one is another object already.

        Raises:
            ValueError: an object was changed such that its children's names would not survive; nothing is bound.
        """
        found = Match()
        try:
            self._meet(number, node.thing, node, found)
            for at, here in found.met:  # which grows meanwhile
                self._claim(at, here, found)
                self._meet_children(at, here, found)
                self._meet_slots(at, found)
        except BaseException:
            self.release(found)
            raise
        return found

    def release(self, match: Match) -> None:
        """Bind the objects of a match no more: others, or the same, may be bound in their places."""
        for number, _ in match.met:
            del self._bound[number]
            self.met.discard(number)
            self.unused.pop(number, None)
        self._slots_met.difference_update(match.slots)

    def _meet(self, number: int, thing: Any, node: Node | None, found: Match) -> None:
        """Bind an object that is none of this checkpoint's yet."""
        if self.bound(number) is None and (known := node or as_node(thing)) is not None:
            self._bound[number] = weakly(thing)
            self.met.add(number)
            found.met.append((number, known))

    def _claim(self, number: int, node: Node, found: Match) -> None:
        """Let an object take its values, unless a later restore gave it some, or it goes by another number, too."""
        if id(node.thing) in found.things or last_restored(node.thing) >= self._restore:
            return
        found.things[id(node.thing)] = node.thing
        stored = self.graph.objects[number].attributes
        attributes = {escaped(name): attribute for name, attribute in node.attributes().items()} if stored else {}
        if (state := attributes.get(PYTHON_STATE)) is not None:
            attributes = {stored[0].name: state}  # it takes the first, whatever its name
        for name, _, key in stored:
            if (attribute := attributes.pop(name, None)) is None:
                self.unused.setdefault(number, []).append(name)
            else:
                found.assignments.append(Assignment(number, key, attribute))
        found.lacking.extend((number, attribute) for attribute in attributes.values())

    def _meet_children(self, number: int, node: Node, found: Match) -> None:
        stored = self.graph.objects[number].children
        children = node.children() if stored else {}
        for name, child in stored:
            if self.bound(child) is not None:
                continue
            if (thing := children.get(name)) is not None:
                self._meet(child, thing, None, found)
            elif self.graph.objects[child].has_values:
                found.waits.append(Wait(node, name, child))

    def _meet_slots(self, number: int, found: Match) -> None:
        for slot in self._slots.get(number, ()):
            optimizer, original = self.bound(slot.optimizer), self.bound(slot.original)
            if optimizer is None or original is None or slot in self._slots_met:
                continue  # whichever of the two comes later will find it
            self._slots_met.add(slot)
            found.slots.append(slot)
            keeper: Any = as_node(optimizer)
            if (thing := _slot_variable(keeper, original, slot.name)) is not None:
                self._meet(slot.variable, thing, None, found)
            elif isinstance(keeper, SlotMaker):
                found.slot_waits.append(SlotWait(keeper, original, slot))

    def awaited(self, waits: Iterable[Wait], slot_waits: Iterable[SlotWait]) -> set[int]:
        """The numbers of all objects that may be bound yet, if those that are waited for come."""
        awaited = {wait.number for wait in waits}
        following = deque(awaited)
        while following:
            for _, child in self.graph.objects[following.popleft()].children:
                if child not in awaited and self.bound(child) is None:
                    awaited.add(child)
                    following.append(child)
        slots = {wait.slot.variable for wait in slot_waits}
        for slot in () if self.skip_slots else self.graph.slots():
            ends = slot.optimizer, slot.original
            if any(end in awaited for end in ends) and all(end in awaited or end in self._bound for end in ends):
                slots.add(slot.variable)
        return awaited | {number for number in slots if self.bound(number) is None}


def _slot_variable(optimizer: Node, original: Any, name: str) -> Any:
    return next((each.slot for each in optimizer.slots([original]) if each.name == name), None)
