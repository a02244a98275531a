"""Graphs as GraphDef."""

from __future__ import annotations

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.attr_values import decode_attr
from cloudckpt.graph.encoding.graph_def import PRODUCER, encode_graph
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.graph import Graph


def small_graph() -> Graph:
    graph = Graph()
    value = np.ones(3, np.float32)
    graph.add_operation("Const", "w/initial_value", attrs={"dtype": DataType.FLOAT, "value": value})
    graph.add_operation("VariableV2", "w", attrs={"dtype": DataType.FLOAT, "shape": (3,)}, device="/device:CPU:1")
    graph.add_operation("Assign", "w/Assign", inputs=("w", "w/initial_value"), attrs={"T": DataType.FLOAT})
    graph.add_operation("NoOp", "init", inputs=("^w/Assign",))
    return graph


def test_nodes_come_in_the_order_of_the_operations() -> None:
    message = encode_graph(small_graph())
    assert [(node.name, node.op) for node in message.node] == [
        ("w/initial_value", "Const"),
        ("w", "VariableV2"),
        ("w/Assign", "Assign"),
        ("init", "NoOp"),
    ]


def test_a_node_says_its_inputs_device_and_attributes() -> None:
    _, variable, assigned, init = encode_graph(small_graph()).node
    assert list(assigned.input) == ["w", "w/initial_value"]
    assert list(init.input) == ["^w/Assign"]
    assert variable.device == "/device:CPU:1"
    assert {name: decode_attr(attr) for name, attr in variable.attr.items()} == {"dtype": DataType.FLOAT, "shape": (3,)}


def test_our_own_graphs_say_by_which_rules_they_are_read() -> None:
    message = encode_graph(Graph())
    assert message.versions.producer == PRODUCER
    assert message.versions.min_consumer == 0
    assert not message.HasField("library")


def test_imported_operations_stay_what_they_are() -> None:
    definition = message_class("tensorflow.NodeDef")(name="f", op="Mystery", input=["a"], device="/cpu:0")
    definition.attr["f"].func.name = "body"
    definition.experimental_debug_info.original_node_names.append("g")
    graph = Graph()
    graph.producer = 15
    graph.library = message_class("tensorflow.FunctionDefLibrary")()
    graph.library.function.add().signature.name = "body"
    graph.import_operation(definition, name="scope/f", inputs=("scope/a", "^scope/b"), device="")
    message = encode_graph(graph)
    assert message.versions.producer == 15
    assert message.library == graph.library
    expected = message_class("tensorflow.NodeDef")()
    expected.CopyFrom(definition)
    expected.name, expected.device = "scope/f", ""
    expected.input[:] = ["scope/a", "^scope/b"]
    assert list(message.node) == [expected]
    assert definition.name == "f"


def test_an_attribute_that_none_can_be_is_named() -> None:
    graph = Graph()
    graph.add_operation("Const", "c", attrs={"value": 1j})
    with pytest.raises(TypeError, match=r"'value' of Const operation 'c'.*complex"):
        encode_graph(graph)
