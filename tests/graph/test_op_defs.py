"""OpDefs of what our graphs consist of."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cloudckpt
from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.op_defs import known_op_def, used_op_defs
from cloudckpt.graph.encoding.op_specs import OP_SPECS


@pytest.mark.parametrize("name", OP_SPECS)
def test_every_attribute_that_an_argument_names_is_there(name: str) -> None:
    op_def = known_op_def(name)
    attrs = {attr.name: attr.type for attr in op_def.attr}
    for argument in [*op_def.input_arg, *op_def.output_arg]:
        kinds = {argument.type_attr: "type", argument.number_attr: "int", argument.type_list_attr: "list(type)"}
        kinds.pop("", None)
        assert kinds.items() <= attrs.items()
        assert argument.type or argument.type_attr or argument.type_list_attr


def test_an_op_is_what_its_spec_says() -> None:
    assign = known_op_def("AssignAdd")
    assert [(each.name, each.type_attr, each.is_ref) for each in assign.input_arg] == [
        ("ref", "T", True),
        ("value", "T", False),
    ]
    assert len(assign.attr[0].allowed_values.list.type) == 19
    assert not assign.is_stateful
    save = known_op_def("SaveV2")
    assert save.is_stateful
    assert (save.attr[0].type, save.attr[0].has_minimum, save.attr[0].minimum) == ("list(type)", True, 1)


def test_an_op_of_others_is_not_known() -> None:
    assert known_op_def("MatMul") is None


def test_every_op_that_this_library_writes_is_known() -> None:
    package = Path(cloudckpt.__file__).parent
    calls = [node for path in package.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    written = {
        call.args[0].value
        for call in calls
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_operation"
        and isinstance(call.args[0], ast.Constant)
    }
    assert {"Const", "VariableV2"} <= written
    assert written <= set(OP_SPECS)


def test_used_ops_are_found_in_nodes_and_functions_in_order() -> None:
    graph_def = message_class("tensorflow.GraphDef")()
    for op in ("NoOp", "Mystery", "Const", "NoOp", "body"):
        graph_def.node.add(op=op)
    function = graph_def.library.function.add()
    function.signature.name = "body"
    function.node_def.add(op="Identity")
    function.node_def.add(op="MatMul")
    matmul = message_class("tensorflow.OpDef")(name="MatMul")
    newer = message_class("tensorflow.OpDef")(name="Const", summary="newer")
    found = used_op_defs(graph_def, {"MatMul": matmul, "Const": newer})
    assert list(found) == ["Const", "Identity", "MatMul", "NoOp"]
    assert found["Const"] is newer
    assert found["MatMul"] is matmul
    assert found["NoOp"] is known_op_def("NoOp")
