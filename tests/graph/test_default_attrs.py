"""Attributes that have their default."""

from __future__ import annotations

from typing import Any

from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.attr_values import set_attr
from cloudckpt.graph.encoding.default_attrs import strip_default_attrs
from cloudckpt.graph.encoding.op_defs import known_op_def
from cloudckpt.variables.dtypes import DataType


def add(nodes: Any, op: str, **attrs: object) -> Any:
    node = nodes.add(op=op)
    for name, value in attrs.items():
        set_attr(node.attr[name], value)
    return node


def strip(graph_def: Any) -> None:
    strip_default_attrs(graph_def, {"Assign": known_op_def("Assign"), "VariableV2": known_op_def("VariableV2")})


def test_only_attributes_with_their_default_go() -> None:
    graph_def = message_class("tensorflow.GraphDef")()
    add(graph_def.node, "Assign", T=DataType.FLOAT, validate_shape=True, use_locking=False, _class=["loc:@w"])
    add(graph_def.node, "VariableV2", dtype=DataType.FLOAT, shape=(), container="", shared_name="w")
    strip(graph_def)
    assert [set(node.attr) for node in graph_def.node] == [
        {"T", "use_locking", "_class"},
        {"dtype", "shape", "shared_name"},
    ]


def test_nodes_of_functions_are_stripped_too() -> None:
    graph_def = message_class("tensorflow.GraphDef")()
    add(graph_def.library.function.add().node_def, "Assign", use_locking=True)
    strip(graph_def)
    assert not graph_def.library.function[0].node_def[0].attr


def test_ops_that_are_not_described_keep_all() -> None:
    graph_def = message_class("tensorflow.GraphDef")()
    add(graph_def.node, "AssignAdd", use_locking=False)
    strip(graph_def)
    assert set(graph_def.node[0].attr) == {"use_locking"}


def test_calls_of_functions_keep_all_whatever_the_function_is_called() -> None:
    graph_def = message_class("tensorflow.GraphDef")()
    graph_def.library.function.add().signature.name = "Assign"
    add(graph_def.node, "Assign", use_locking=True)
    strip(graph_def)
    assert set(graph_def.node[0].attr) == {"use_locking"}
