"""The tensors of a graph of objects, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import StructureError
from cloudckpt.objects.object_graph.recognise import as_node
from cloudckpt.objects.object_graph.save import tensors_of_objects
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.python_state import PythonState
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def tensors(root: Any) -> dict[str, Any]:
    node = as_node(root)
    assert node is not None
    return tensors_of_objects(node)


def graph_of(root: Any) -> Any:
    return message_class("tensorflow.TrackableObjectGraph").FromString(tensors(root)[OBJECT_GRAPH].item())


class State(PythonState):
    def __init__(self, state: Any) -> None:
        self.state = state

    def serialize(self) -> Any:
        return self.state

    def deserialize(self, string_value: bytes) -> None:
        self.state = string_value


def test_values_are_not_copied_and_the_graph_comes_last() -> None:
    root = Module()
    root.w, root.layers = Variable([1.0, 2.0]), [Variable(3)]
    found = tensors(root)
    assert [*found] == [f"w{VALUE}", f"layers/0{VALUE}", OBJECT_GRAPH]
    assert found[f"w{VALUE}"] is root.w.own_value


def test_the_root_may_be_a_variable() -> None:
    assert [*tensors(Variable(1.0))] == [VALUE, OBJECT_GRAPH]


def test_arrays_are_objects_too() -> None:
    array = np.zeros(3)
    root = Trackable()
    root.__tracking__.track("array", array)
    assert tensors(root)[f"array{VALUE}"] is array
    assert graph_of(root).nodes[1].attributes[0].full_name == ""


@pytest.mark.parametrize(("state", "stored"), [("żółw", "żółw".encode()), (b"\xff", b"\xff"), ("", b"")])
def test_python_state_is_one_string(state: Any, stored: bytes) -> None:
    root = Trackable()
    root.state = State(state)
    found = tensors(root)["state/.ATTRIBUTES/py_state"]
    assert (found.shape, found.item()) == ((), stored)


def test_python_state_of_another_type() -> None:
    root = Trackable()
    root.state = State(3)
    with pytest.raises(TypeError, match=r"'state/.ATTRIBUTES/py_state' can't be saved: State.serialize\(\) must give"):
        tensors(root)


def test_an_error_of_a_python_state_is_its_own() -> None:
    class Broken(State):
        def serialize(self) -> Any:
            raise ZeroDivisionError

    root = Trackable()
    root.state = Broken(None)
    with pytest.raises(ZeroDivisionError):
        tensors(root)


def test_a_slice_is_known_by_the_name_of_the_whole() -> None:
    root = Trackable()
    root.part = Variable([1.0], name="whole/part_0")
    root.part.save_slice_info = SaveSliceInfo("whole", (2,), (0,), (1,))
    assert graph_of(root).nodes[1].attributes[0].full_name == "whole"


def test_who_has_values() -> None:
    root = Trackable()
    root.empty, root.full, root.shared = [Trackable()], {"a": [Variable(1.0)]}, Trackable()
    root.shared.up = root
    has = {node.has_checkpoint_values.value for node in graph_of(root.empty).nodes}
    assert has == {False}
    graph = graph_of(root)
    named = {
        child.local_name: graph.nodes[child.node_id].has_checkpoint_values.value for child in graph.nodes[0].children
    }
    assert named == {"empty": False, "full": True, "shared": True}
    assert graph.nodes[0].has_checkpoint_values.value


def test_two_objects_that_come_to_one_key() -> None:
    class Both(Trackable, State):
        """Its own state, and that of a child without a name."""

    root = Both("own")
    root.__tracking__.track("", State("child"))
    with pytest.raises(StructureError, match=r"two tensors of objects come to the key '/.ATTRIBUTES/py_state'"):
        tensors(root)


def test_a_name_that_is_no_text() -> None:
    root = Trackable()
    root.items = {"a\ud800": Variable(1.0)}
    with pytest.raises(StructureError, match=r"'a\\ud800', a name in 'items', is not valid UTF-8"):
        tensors(root)
