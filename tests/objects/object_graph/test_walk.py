"""Which objects a root leads to, in what order, and by what names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import StructureError
from cloudckpt.objects.object_graph.recognise import as_node
from cloudckpt.objects.object_graph.walk import WalkedGraph, list_nodes, walk
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable
from tests.frameworks import require_torch

if TYPE_CHECKING:
    from cloudckpt.objects.object_graph.node import Node, SlotVariable


def node_of(thing: Any) -> Node:
    node = as_node(thing)
    assert node is not None
    return node


def walked(root: Any, **kwargs: Any) -> WalkedGraph:
    return walk(node_of(root), **kwargs)


def paths(graph: WalkedGraph) -> list[str]:
    return [each.path() for each in graph.objects]


class Optimizer(Trackable):
    """With a slot for each pair that it is given."""

    def __init__(self, *slots: tuple[Any, str, Any]) -> None:
        object.__setattr__(self, "given", slots)

    given: Any

    def get_slot_names(self) -> list[str]:
        return [*dict.fromkeys(name for _, name, _ in self.given)]

    def get_slot(self, variable: Any, name: str) -> Any:
        for other, key, slot in self.given:
            if other is variable and key == name:
                return slot
        raise KeyError(name)


def test_objects_are_numbered_breadth_first() -> None:
    root = Trackable()
    root.deep, root.w = Trackable(), Variable(1.0)
    root.deep.deeper = Trackable()
    root.deep.deeper.v = Variable(2.0)
    root.deep.v = Variable(3.0)
    graph = walked(root)
    assert paths(graph) == ["", "deep", "w", "deep/deeper", "deep/v", "deep/deeper/v"]
    assert graph.objects[0].children == [("deep", 1), ("w", 2)]
    assert graph.id_of(root.deep.v) == 4
    assert graph.id_of(Variable(0.0)) is None


def test_an_object_goes_by_a_shortest_way_and_the_first_of_these() -> None:
    root, shared = Trackable(), Variable(1.0)
    root.first = [[shared]]
    root.second, root.third = [shared], [shared]
    graph = walked(root)
    assert graph.objects[graph.id_of(shared) or 0].path() == "second/0"
    assert len(graph.objects) == 6


def test_cycles_end() -> None:
    root, other = Trackable(), Trackable()
    root.other, root.itself = other, root
    other.back = [root]
    graph = walked(root)
    assert [each.children for each in graph.objects] == [[("other", 1), ("itself", 0)], [("back", 2)], [("0", 0)]]


def test_names_are_escaped() -> None:
    root = Trackable()
    setattr(root, "a/b.c", {"": Variable(1.0), ".S": Variable(2.0)})
    assert paths(walked(root)) == ["", "a.Sb..c", "a.Sb..c/", "a.Sb..c/..S"]


def test_slot_variables_come_last_by_names_and_then_variables() -> None:
    root, a, b, elsewhere = Trackable(), Variable(1.0), Variable(2.0), Variable(3.0)
    ours = [Variable(float(number)) for number in range(4)]
    root.a, root.b = a, b
    root.adam = Optimizer((b, "m/1", ours[0]), (a, "v", ours[1]), (a, "m/1", ours[2]), (elsewhere, "v", ours[3]))
    graph = walked(root)
    assert paths(graph)[4:] == [
        "a/.OPTIMIZER_SLOT/adam/m.S1",
        "b/.OPTIMIZER_SLOT/adam/m.S1",
        "a/.OPTIMIZER_SLOT/adam/v",
    ]
    assert graph.objects[3].slots == [(1, "m/1", 4), (2, "m/1", 5), (1, "v", 6)]
    assert paths(walked(root, skip_slots=True)) == ["", "a", "b", "adam"]
    assert [node.thing for node in list_nodes(node_of(root), skip_slots=True)] == [root, a, b, root.adam]
    assert len(list_nodes(node_of(root))) == 7


def test_what_can_be_no_slot_variable() -> None:
    root, inner = Trackable(), Trackable()
    root.v, root.also, inner.v = Variable(1.0), Variable(2.0), Variable(3.0)
    for slot, message in [
        (root.also, "it is in the graph already, as 'also'"),
        (root.v, "it is in the graph already, as 'v'"),
        (inner, r"other objects are in it, \['v'\]"),
        (3, "it is of builtins.int"),
    ]:
        root.adam = Optimizer((root.v, "m", slot))
        with pytest.raises(StructureError, match=f"'v/.OPTIMIZER_SLOT/adam/m' can't be saved: {message}"):
            walked(root)


def test_a_child_of_no_known_kind() -> None:
    class Other:
        thing = "root"

        def children(self) -> dict[str, Any]:
            return {"inner": node_thing}

        def attributes(self) -> dict[str, Any]:
            return {}

        def slots(self, variables: Any) -> list[SlotVariable]:
            return []

        def adopt(self, name: str, restore: Any) -> bool:
            return False

    node_thing = Trackable()
    node_thing.__tracking__.track("bad", 3)
    with pytest.raises(StructureError, match=r"'inner' has a child 'bad' of builtins.int, which can't be saved"):
        walk(Other())
    with pytest.raises(StructureError, match=r"'the root' has a child 'bad'"):
        walked(node_thing)


def test_an_optimizer_of_torch_is_not_passed_over_in_silence() -> None:
    torch = require_torch()
    root = Trackable()
    # Not made as programs do: that imports the compiler, which aborts where TensorFlow has been imported before.
    optimizer = torch.optim.SGD.__new__(torch.optim.SGD)
    root.optimizer = optimizer
    with pytest.raises(StructureError, match=r"'optimizer' of torch\.optim\.sgd\.SGD, which can't be saved"):
        walked(root)
    root = Trackable()
    root.optimizer = NoDependency(optimizer)
    assert paths(walked(root)) == [""]


def test_a_list_that_was_changed_is_named() -> None:
    root = Trackable()
    root.layers = [Variable(1.0)]
    root.layers.pop()
    with pytest.raises(StructureError, match=r"ListWrapper\(\[\]\) can't be saved"):
        walked(root)


def test_a_hundred_thousand_objects_one_below_the_other() -> None:
    root = at = Trackable()
    for _ in range(100_000):
        at.next = at = Trackable()
    at.next = root
    assert len(walked(root).objects) == 100_001
