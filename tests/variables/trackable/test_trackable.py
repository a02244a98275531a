"""What an object tracks of what its attributes are assigned, and when what waits for a child gets it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from cloudckpt.variables.trackable.list_wrapper import ListWrapper
from cloudckpt.variables.trackable.python_state import PythonState
from cloudckpt.variables.trackable.recognition import NoDependency, is_trackable
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable


class State(PythonState):
    def __init__(self) -> None:
        self.seen = [Variable(1.0)]

    def serialize(self) -> str:
        return "state"

    def deserialize(self, string_value: bytes) -> None:
        raise NotImplementedError


class Lookalike:
    """With an attribute that can't be read."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def names(thing: Trackable) -> list[str]:
    return [*thing.__children__()]


def test_variables_and_objects_are_tracked_in_order() -> None:
    root, inner, variable, state = Trackable(), Trackable(), Variable(1.0), State()
    root.z, root.a, root.state = variable, inner, state
    assert dict(root.__children__()) == {"z": variable, "a": inner, "state": state}
    assert names(root) == ["z", "a", "state"]


@pytest.mark.parametrize(
    "value", [1, 1.5, True, "text", b"", None, np.zeros(2), np.float32(1), (1, 2), {3}, print, int]
)
def test_other_things_are_attributes_and_nothing_else(value: Any) -> None:
    root = Trackable()
    root.value = value
    assert root.value is value
    assert names(root) == []
    assert not is_trackable(value)


def test_an_object_whose_attributes_fail_is_no_object_of_the_graph() -> None:
    assert not is_trackable(Lookalike())


def test_a_second_object_takes_the_place_of_the_first() -> None:
    root, second = Trackable(), Variable(2.0)
    root.a, root.b = Variable(1.0), Variable(1.0)
    root.a = second
    assert names(root) == ["a", "b"]
    assert root.__children__()["a"] is second


def test_the_last_object_is_tracked_when_something_else_is_assigned() -> None:
    root, first = Trackable(), Variable(1.0)
    root.a = first
    root.a = None
    assert root.a is None
    assert root.__children__()["a"] is first


def test_what_is_deleted_is_not_tracked_and_comes_last_when_it_is_back() -> None:
    root = Trackable()
    root.a, root.b = Variable(1.0), Variable(1.0)
    del root.a
    assert names(root) == ["b"]
    assert not hasattr(root, "a")
    root.a = Variable(1.0)
    assert names(root) == ["b", "a"]


def test_deleting_what_is_not_there() -> None:
    with pytest.raises(AttributeError):
        del Trackable().missing


def test_what_is_kept_out_is_the_attribute_as_it_is() -> None:
    root, variable, elements = Trackable(), Variable(1.0), [Variable(1.0)]
    root.variable, root.elements = NoDependency(variable), NoDependency(elements)
    assert root.variable is variable
    assert root.elements is elements
    assert names(root) == []


def test_assigning_what_is_there_changes_nothing() -> None:
    root = Trackable()
    root.elements = [Variable(1.0)]
    kept = root.elements
    root.elements = root.elements
    assert root.elements is kept


def test_a_property_gets_what_is_kept() -> None:
    class WithProperty(Trackable):
        @property
        def layers(self) -> Any:
            return self._layers

        @layers.setter
        def layers(self, value: Any) -> None:
            self._layers = value

    root = WithProperty()
    root.layers = [1]
    assert isinstance(root.layers, ListWrapper)
    assert root.__children__() == {"layers": root.layers, "_layers": root.layers}


def test_what_python_state_keeps_is_not_tracked() -> None:
    state = State()
    assert type(state.seen) is list


def test_an_object_with_python_state_may_track() -> None:
    class Both(Trackable, State):
        """Tracks, and has state."""

    both = Both()
    assert names(both) == ["seen"]


def test_python_state_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        PythonState()  # type: ignore[abstract]


def test_what_waits_gets_the_first_child_of_its_name_the_newest_first() -> None:
    root, got = Trackable(), []
    root.__tracking__.adopt("a", lambda child: got.append(("old", child)))
    root.__tracking__.adopt("a", lambda child: got.append(("new", child)))
    first, other = Variable(1.0), Variable(2.0)
    root.b = other
    root.a = 1
    assert got == []
    root.a = first
    assert got == [("new", first), ("old", first)]
    root.a = other
    assert len(got) == 2


def test_what_waits_for_a_name_that_is_taken_gets_the_next_after_it_is_gone() -> None:
    root, got = Trackable(), []
    root.a = Variable(1.0)
    root.__tracking__.adopt("a", got.append)
    root.a = Variable(2.0)
    assert got == []
    del root.a
    root.a = Variable(3.0)
    assert got == [root.a]


def test_what_waits_and_fails_makes_the_assignment_fail() -> None:
    root = Trackable()

    def refuse(child: Any) -> None:
        raise ValueError("does not fit")

    root.__tracking__.adopt("a", refuse)
    with pytest.raises(ValueError, match="does not fit"):
        root.a = Variable(1.0)
    assert not hasattr(root, "a")
    assert names(root) == []
    with pytest.raises(ValueError, match="does not fit"):
        root.a = Variable(2.0)


def test_what_waits_for_any_child_gets_the_first_of_each_name() -> None:
    root, got = Trackable(), []
    root.a = Variable(1.0)
    root.__tracking__.adopt("b", lambda child: got.append(("by name", child)))
    root.__tracking__.adopt_any(lambda child: got.append(("old", child)))
    root.__tracking__.adopt_any(lambda child: got.append(("new", child)))
    root.a = Variable(2.0)
    root.number = 3
    assert got == []
    root.b = Variable(3.0)
    root.c = Trackable()
    assert got == [(who, root.b) for who in ("by name", "new", "old")] + [("new", root.c), ("old", root.c)]


@pytest.fixture
def root() -> Trackable:
    root = Trackable()
    root.variable, root.inner, root.elements = Variable(1.0), Trackable(), [Variable(2.0), NoDependency(Variable(3.0))]
    root.inner.up = root
    root.inner.same = root.variable
    return root


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda root: pickle.loads(pickle.dumps(root))])
def test_a_whole_copy_tracks_the_copies(root: Trackable, copied: Any) -> None:
    new = copied(root)
    assert names(new) == names(root)
    assert new.variable is new.__children__()["variable"] is new.inner.same
    assert new.variable is not root.variable
    assert new.inner.up is new
    assert new.elements.__children__() == {"0": new.elements[0]}
    new.elements.append(Variable(4.0))
    new.more = Variable(5.0)
    assert len(root.elements) == 2
    assert "more" not in names(root)


def test_a_shallow_copy_tracks_by_itself(root: Trackable) -> None:
    got: list[Any] = []
    root.__tracking__.adopt("more", got.append)
    new = copy.copy(root)
    new.more = Variable(5.0)
    assert new.inner is root.inner
    assert names(new) == [*names(root), "more"]
    assert got == []


def test_a_copy_has_what_is_in_slots() -> None:
    class WithSlots(Trackable):
        __slots__ = ("inner", "unset")

    root = WithSlots()
    root.inner, root.other = [Variable(1.0)], 2
    new = copy.deepcopy(root)
    assert new.inner is new.__children__()["inner"] is not root.inner
    assert new.other == 2
