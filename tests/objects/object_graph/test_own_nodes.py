"""Our own objects, and arrays, as the graph sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.objects.object_graph.recognise import as_node
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.trackable.python_state import PythonState
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable


class State(PythonState):
    got = b""

    def serialize(self) -> str:
        return "state"

    def deserialize(self, string_value: bytes) -> None:
        self.got = string_value


def node_of(thing: Any) -> Any:
    node = as_node(thing)
    assert node is not None
    assert node.thing is thing
    return node


@pytest.mark.parametrize("thing", [1, 2.5, "text", b"", None, [1], {}, (1,), {1}, print, object(), np.float32(1), int])
def test_what_is_no_object(thing: Any) -> None:
    assert as_node(thing) is None


def test_an_array_that_nobody_may_write_to_is_no_object() -> None:
    array = np.zeros(2)
    array.flags.writeable = False
    assert as_node(array) is None


@pytest.mark.parametrize("thing", [Variable([1.0, 2.0], name="scope/v"), np.array([1.0, 2.0], np.float32)])
def test_what_has_a_value(thing: Any) -> None:
    node = node_of(thing)
    assert (node.children(), [*node.slots([thing])]) == ({}, [])
    assert (node.adopt("a", print), node.adopt_any(print)) == (False, False)
    ((name, attribute),) = node.attributes().items()
    assert (name, attribute.name) == ("VARIABLE_VALUE", "VARIABLE_VALUE")
    assert attribute.full_name == ("scope/v" if isinstance(thing, Variable) else "")
    assert (attribute.data_type, attribute.shape) == (DataType.FLOAT, (2,))
    assert attribute.read().tolist() == [1, 2]
    attribute.assign(np.array([3, 4], np.float32))
    assert np.asarray(thing).tolist() == [3, 4]


def test_python_state() -> None:
    state = State()
    node = node_of(state)
    assert (node.children(), node.adopt("a", print), node.adopt_any(print)) == ({}, False, False)
    attribute = node.attributes()["py_state"]
    assert (attribute.full_name, attribute.data_type, attribute.shape) == ("", DataType.STRING, ())
    assert attribute.read().item() == b"state"
    attribute.assign(np.array(b"other", object))
    assert state.got == b"other"


def test_an_object_that_tracks() -> None:
    root, got = Trackable(), []
    root.w = Variable(1.0)
    node = node_of(root)
    assert (node.children(), node.attributes(), [*node.slots([root.w])]) == ({"w": root.w}, {}, [])
    assert node.adopt("later", got.append)
    root.later = [1]
    assert got == [root.later]
    assert node.adopt_any(got.append)
    root.last = [2]
    assert got == [root.later, root.last]
    assert node_of(root.later).children() == {}


def test_slots_are_asked_of_the_class_alone() -> None:
    class Curious(Trackable):
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name) if "slot" in name else AttributeError(name)

    curious = Curious()
    curious.w = Variable(1.0)
    assert [*node_of(curious).slots([curious.w])] == []
