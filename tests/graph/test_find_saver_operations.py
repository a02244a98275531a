"""A saver's nodes are found in any graph, and no graph makes the search fail but by name, or take long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.tensor_proto import encode_tensor
from cloudckpt.graph.imported_attrs import ImportedAttrs
from cloudckpt.graph.savers.find_saver_operations import find_saver_operations
from cloudckpt.graph.savers.node import GraphBody
from cloudckpt.graph.savers.save_plan import SavedShard, SavedTensor
from cloudckpt.graph.savers.saver_operations import add_saver_operations
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.graph import Graph
from tests.graph.saver_graphs import graph_of, node_of, plan_of, saved, strings, with_saver

W, B = saved("w"), saved("b", ())
PARTS = saved("p/part_0", (1, 2), "2 2 0,1:-", key="p"), saved("p/part_1", (1, 2), "2 2 1,1:-", key="p")


@pytest.mark.parametrize("options", [{}, {"write_version": 1}, {"reshape": True}, {"bulk_restore": False}], ids=str)
def test_what_a_saver_was_built_for_is_found(options: dict[str, Any]) -> None:
    plan = plan_of(with_saver(W, B, *PARTS, filename="there", **options))

    assert [(each.name, each.slice_spec, each.shape, each.variable) for each in plan.restored] == [
        (each.name, each.slice_spec, each.shape, each.variable) for each in (W, B, *PARTS)
    ]
    (shard,) = plan.shards
    assert [each.variable for each in shard.tensors] == ["w", "b", "p/part_0", "p/part_1"]
    assert (plan.sharded, plan.version, plan.filename) == (False, options.get("write_version", 2), "there")
    assert not plan.constants


@pytest.mark.parametrize("version", [1, 2])
def test_shards_are_in_the_order_of_their_files(version: int) -> None:
    tensors = [saved(f"w{number}") for number in range(12)]
    graph = graph_of(*tensors)
    shards = [SavedShard(f"/job:ps/task:{number}", (tensor,)) for number, tensor in enumerate(tensors)]

    plan = find_saver_operations(graph, add_saver_operations(graph, shards, sharded=True, write_version=version))

    assert plan.sharded
    assert [[each.name for each in shard.tensors] for shard in plan.shards] == [[each.name] for each in tensors]


def test_a_shape_that_is_not_known_is_measured() -> None:
    graph = graph_of(saved("w", None))
    saver_def = add_saver_operations(graph, [SavedShard("", (saved("w", None),))], reshape=True)

    assert graph.get_operation_by_name("save/Reshape").inputs == ("save/RestoreV2", "save/Shape")
    assert graph.get_operation_by_name("save/Assign").attrs["validate_shape"] is False
    assert find_saver_operations(graph, saver_def).restored[0].shape is None


def test_what_is_no_variable_is_read_and_not_assigned() -> None:
    graph = graph_of(W)
    graph.add_operation("Const", "constant", attrs={"dtype": DataType.INT32, "value": np.array(5, np.int32)})
    constant = SavedTensor("five", "", "constant", DataType.INT32, (), "")

    plan = find_saver_operations(graph, add_saver_operations(graph, [SavedShard("", (W, constant))]))

    assert plan.constants == {"constant:0": 5}
    assert [each.name for each in plan.restored] == ["w"]


def test_a_table_is_restored_to_where_it_is_saved_from() -> None:
    graph = graph_of(W)
    graph.add_operation("MutableHashTableV2", "table")
    graph.add_operation("LookupTableExportV2", "export", inputs=("table",))
    keys = SavedTensor("table-keys", "", "export", DataType.STRING, None, "")
    values = SavedTensor("table-values", "", "export:1", DataType.INT64, None, "")
    saver_def = add_saver_operations(graph, [SavedShard("", (W, keys, values))])
    with graph.name_scope("save/"):
        graph.add_operation("LookupTableImportV2", "import", inputs=("table", "save/RestoreV2:1", "save/RestoreV2:2"))
        graph.add_operation("NoOp", "all", inputs=("^save/restore_all", "^save/import"))
    saver_def.restore_op_name = "save/all"

    plan = find_saver_operations(graph, saver_def)

    assert [(each.name, each.source) for each in plan.restored] == [
        ("w", "w:0"),
        ("table-keys", "export:0"),
        ("table-values", "export:1"),
    ]


def test_the_ops_of_the_first_versions_are_known() -> None:
    """Of 2015: a node for each tensor that is restored, and no slices where none are saved."""
    graph = graph_of(W, PARTS[0])
    for name, value in (("file", strings(b"model")[0]), ("key", b"w"), ("p", b"p"), ("spec", b"2 2 0,1:-")):
        graph.add_operation("Const", name, attrs={"dtype": DataType.STRING, "value": np.array(value, object)})
    graph.add_operation("Const", "keys", attrs={"dtype": DataType.STRING, "value": strings(b"w", b"x")})
    types = {"T": [DataType.FLOAT, DataType.FLOAT]}
    graph.add_operation("Save", "save", inputs=("file", "keys", "w", "p/part_0"), attrs=types)
    graph.add_operation("Restore", "restore", inputs=("file", "key"), attrs={"dt": DataType.FLOAT})
    graph.add_operation("RestoreSlice", "slice", inputs=("file", "p", "spec"), attrs={"dt": DataType.FLOAT})
    graph.add_operation("Assign", "assign", inputs=("w", "restore"))
    graph.add_operation("Assign", "assign_part", inputs=("p/part_0", "slice"))
    graph.add_operation("NoOp", "all", inputs=("^assign", "^assign_part"))
    graph.add_operation("Identity", "saved", inputs=("file", "^save"))
    saver_def = message_class("tensorflow.SaverDef")(
        filename_tensor_name="file:0", save_tensor_name="saved:0", restore_op_name="all"
    )

    plan = find_saver_operations(graph, saver_def)

    assert (plan.version, plan.filename) == (1, "model")
    assert [(each.name, each.slice_spec, each.variable) for each in plan.shards[0].tensors] == [
        ("w", "", "w"),
        ("x", "", "p/part_0"),
    ]
    assert sorted((each.name, each.slice_spec, each.variable) for each in plan.restored) == [
        ("p", "2 2 0,1:-", "p/part_0"),
        ("w", "", "w"),
    ]


# What is damaged, how, and what is said of it.
DAMAGES = [
    (lambda meta: setattr(meta.saver_def, "save_tensor_name", "nothing:0"), "no operation 'nothing'"),
    (lambda meta: setattr(meta.saver_def, "restore_op_name", ""), "no operation ''"),
    (lambda meta: setattr(meta.saver_def, "filename_tensor_name", "save/Const:x"), "'save/Const:x' is not the name"),
    (lambda meta: setattr(meta.saver_def, "save_tensor_name", "w:0"), "'w' should run after something is saved"),
    (lambda meta: setattr(meta.saver_def, "restore_op_name", "w"), "'w' should run after something is restored"),
    (lambda meta: names_of(meta, "save/SaveV2/tensor_names", b"w"), "SaveV2/tensor_names' has 1 names .* where 2"),
    (lambda meta: names_of(meta, "save/RestoreV2/tensor_names", b"w"), "RestoreV2/tensor_names' has 1 names"),
    (lambda meta: constant(meta, "save/SaveV2/tensor_names", np.zeros(2)), "should be a constant of names of tensors"),
    (lambda meta: node_of(meta, "save/SaveV2/tensor_names").attr["value"].Clear(), "a constant without a value"),
    (lambda meta: node_of(meta, "save/SaveV2").attr["dtypes"].Clear(), "says no dtypes in attribute 'dtypes'"),
    (lambda meta: setattr(node_of(meta, "save/RestoreV2").attr["dtypes"], "s", b"x"), "says no dtypes"),
    (lambda meta: types_of(meta, "save/SaveV2", 1, 1 << 20), "dtype 1048576"),
    (lambda meta: types_of(meta, "save/RestoreV2", -1, 1), "dtype -1"),
    (lambda meta: types_of(meta, "save/RestoreV2", 101, 1), "dtype 101"),
    (lambda meta: node_of(meta, "save/SaveV2").input.pop(), "'save/SaveV2' saves 1 tensors with 2 dtypes"),
    (lambda meta: node_of(meta, "save/RestoreV2").ClearField("input"), "has 0 inputs: too few"),
    (lambda meta: set_input(meta, "save/Assign", 1, "save/RestoreV2:7"), "restores 2 tensors, and no"),
    (lambda meta: set_input(meta, "save/Assign", 1, "save/RestoreV2:x"), "not the name of a tensor"),
    (lambda meta: set_input(in_circles(meta), "save/Assign", 1, "one"), "takes its own output"),
    (lambda meta: huge(meta, "save/SaveV2/tensor_names"), "can't be read from its message"),
    (lambda meta: call(meta, "no_such_function"), "calls function 'no_such_function'"),
    (lambda meta: call(meta, "itself"), "calls 'itself': too many calls, or too deep"),
    (lambda meta: call(meta, ""), "calls function ''"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[message for _, message in DAMAGES])
def test_a_graph_that_fits_no_saver_says_which_node_is_wrong(damage: Any, message: str) -> None:
    meta = with_saver(W, B)
    damage(meta)
    with pytest.raises(InvalidArgumentError, match=message):
        plan_of(meta)


def test_a_circle_of_control_dependencies_has_an_end() -> None:
    meta = with_saver(W, B)
    node_of(meta, "save/Assign").input.append("^save/restore_all")
    node_of(meta, "save/SaveV2").input.append("^save/control_dependency")
    assert len(plan_of(meta).restored) == 2


def test_a_long_way_is_gone_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of nodes that all are also assigned: to follow each from its start would be quadratic."""
    meta, long, looked_up = with_saver(W), 1_000, []
    before = "save/RestoreV2"
    for number in range(long):
        meta.graph_def.node.add(name=f"i{number}", op="Identity", input=[before])
        meta.graph_def.node.add(name=f"a{number}", op="Assign", input=["w", f"i{number}"])
        before = f"i{number}"
        last = meta.graph_def.node.add(name=f"n{number}", op="NoOp", input=[f"^a{number}"])
        if number:
            last.input.append(f"^n{number - 1}")
    meta.saver_def.restore_op_name = f"n{long - 1}"

    output = GraphBody.output
    monkeypatch.setattr(GraphBody, "output", lambda self, name: looked_up.append(name) or output(self, name))

    plan = plan_of(meta)

    assert len(plan.restored) == long
    assert len(looked_up) < 30 * long


def names_of(meta: Any, name: str, *names: bytes) -> None:
    constant(meta, name, strings(*names))


def types_of(meta: Any, name: str, *numbers: int) -> None:
    node_of(meta, name).attr["dtypes"].list.type[:] = numbers


def constant(meta: Any, name: str, value: np.ndarray) -> None:
    node_of(meta, name).attr["value"].tensor.CopyFrom(encode_tensor(value))


def set_input(meta: Any, name: str, number: int, value: str) -> None:
    node_of(meta, name).input[number] = value


def in_circles(meta: Any) -> Any:
    for name, source in (("one", "two"), ("two", "one")):
        meta.graph_def.node.add(name=name, op="Identity", input=[source])
    return meta


def huge(meta: Any, name: str) -> None:
    tensor = node_of(meta, name).attr["value"].tensor
    del tensor.string_val[1:]
    tensor.tensor_shape.dim[0].size = 1 << 60


def call(meta: Any, function: str) -> None:
    """Let what saves be in a function, which may call itself."""
    own = meta.graph_def.library.function.add()
    own.signature.name = "itself"
    within = own.node_def.add(name="again", op="PartitionedCall")
    within.attr["f"].func.name = "itself"
    caller = node_of(meta, "save/control_dependency")
    caller.op = "StatefulPartitionedCall"
    caller.attr["f"].func.name = function


def test_what_function_bodies_save_and_restore_is_found() -> None:
    """TensorFlow 2 saves within a function: its arguments are the variables, some constants are its own."""
    graph = Graph()
    graph.add_operation("VarHandleOp", "v", attrs={"dtype": DataType.FLOAT, "shape": (3,)})
    graph.add_operation("Placeholder", "file", attrs={"dtype": DataType.STRING})
    graph.library = library = message_class("tensorflow.FunctionDefLibrary")()
    saves, restores = library.function.add(), library.function.add()
    saves.signature.name, restores.signature.name = "saves", "restores"
    for function in (saves, restores):
        for argument in ("prefix", "handle"):
            function.signature.input_arg.add(name=argument)
    body_of(saves, "read", "ReadVariableOp", "handle")
    body_of(saves, "copy", "Identity", "read:value:0")
    body_constant(saves, "names", b"v", b"graph")
    body_constant(saves, "slices", b"", b"")
    body_constant(saves, "object_graph", b"bytes")
    save = body_of(saves, "save", "SaveV2", "prefix", "names:output:0", "slices:output:0", "copy:output:0")
    save.input.append("object_graph:output:0")
    save.attr["dtypes"].list.type.extend([DataType.FLOAT, DataType.STRING])
    body_constant(restores, "names", b"v")
    body_constant(restores, "slices", b"")
    restore = body_of(restores, "restore", "RestoreV2", "prefix", "names:output:0", "slices:output:0")
    restore.attr["dtypes"].list.type.append(DataType.FLOAT)
    body_of(restores, "copy", "Identity", "restore:tensors:0")
    body_of(restores, "assign", "AssignVariableOp", "handle", "copy:output:0")
    for name, function in (("saving", "saves"), ("restoring", "restores")):
        node = message_class("tensorflow.NodeDef")(name=name, op="StatefulPartitionedCall", input=["file", "v"])
        node.attr["f"].func.name = function
        graph.import_operation(node, name=name, inputs=node.input, device="", attrs=ImportedAttrs(node))
    saver_def = message_class("tensorflow.SaverDef")(
        filename_tensor_name="file:0", save_tensor_name="saving:0", restore_op_name="restoring"
    )

    plan = find_saver_operations(graph, saver_def)

    assert [(each.name, each.source, each.variable) for each in plan.shards[0].tensors] == [
        ("v", "v:0", "v"),
        ("graph", "saves/object_graph:0", ""),
    ]
    assert plan.constants["saves/object_graph:0"].tolist() == [b"bytes"]
    assert [(each.name, each.shape, each.variable) for each in plan.restored] == [("v", (3,), "v")]
    assert plan.filename == ""


def body_of(function: Any, name: str, kind: str, *inputs: str) -> Any:
    return function.node_def.add(name=name, op=kind, input=inputs)


def body_constant(function: Any, name: str, *values: bytes) -> None:
    body_of(function, name, "Const").attr["value"].tensor.CopyFrom(encode_tensor(strings(*values)))
