"""Graphs that are imported: all of them or nothing, and named errors for what is no graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.export import export_meta_graph_def
from cloudckpt.graph.importing import import_meta_graph_def
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.variable import Variable
from tests.graph.saver_graphs import node_of, saved, with_saver


def with_collections() -> Any:
    """A MetaGraphDef of two variables, one of which is trained, and other values."""
    with Graph().as_default() as graph:
        Variable(np.zeros((2, 3), np.float32), name="w")
        Variable(np.int64(1), name="step", trainable=False)
        graph.add_to_collection("ints", 3)
        return export_meta_graph_def(graph)


def test_variables_come_back_by_their_operations() -> None:
    graph = Graph()
    import_meta_graph_def(graph, with_collections())

    w, step = graph.get_collection("variables")
    assert (w.name, w.shape, w.data_type, w.trainable) == ("w:0", (2, 3), DataType.FLOAT, True)
    assert (step.name, step.shape, step.data_type, step.trainable) == ("step:0", (), DataType.INT64, False)
    assert graph.get_collection("trainable_variables") == [w]
    assert (w.initializer.name, w.initial_value.name, w.snapshot.name) == ("w/Assign", "w/initial_value:0", "w/read:0")


@pytest.mark.parametrize(
    ("version", "trainable"), [("1.8.0", False), ("1.9.0", True), ("", True), ("2.21.0-dev", True)]
)
def test_what_is_trained_is_told_by_the_collection_where_old_versions_do_not_say(version: str, trainable: bool) -> None:
    meta = with_collections()
    del meta.collection_def["trainable_variables"]
    meta.meta_info_def.tensorflow_version = version
    graph = Graph()
    import_meta_graph_def(graph, meta)
    assert graph.get_collection("variables")[0].trainable is trainable


def test_a_graph_whose_saver_is_not_in_it_is_imported_all_the_same() -> None:
    meta, graph = with_saver(saved("w")), Graph()
    meta.saver_def.save_tensor_name = "elsewhere:0"
    import_meta_graph_def(graph, meta)
    assert graph.get_operation_by_name("w")


@pytest.mark.parametrize(("asked", "given"), [("imp", "imp_1"), ("imp/", "imp/"), (None, "")])
def test_the_scope_is_returned_that_the_nodes_are_in(asked: str | None, given: str) -> None:
    graph = Graph()
    import_meta_graph_def(graph, with_saver(saved("w")), import_scope="imp")
    assert import_meta_graph_def(graph, with_saver(saved("w")), import_scope=asked) == given


def test_names_that_are_wanted_later_are_not_given_before() -> None:
    """A node that takes another name must not take that of a node that comes later, or came before."""
    graph = Graph()
    with graph.name_scope("s/"):
        graph.add_operation("NoOp", "w")
    for names in (("w", "w_1"), ("w_1", "w")):
        meta = message_class("tensorflow.MetaGraphDef")()
        for name in names:
            meta.graph_def.node.add(name=name, op="NoOp")
        import_meta_graph_def(graph, meta, import_scope="s/")
    assert len({operation.name for operation in graph.get_operations()}) == 5


def test_nothing_is_changed_that_was_passed_in() -> None:
    meta = with_saver(saved("w"))
    before = meta.SerializeToString(deterministic=True)
    import_meta_graph_def(Graph(), meta, import_scope="imp", clear_devices=True)
    assert meta.SerializeToString(deterministic=True) == before


def test_functions_and_op_defs_of_several_graphs_are_kept() -> None:
    graph = Graph()
    for name in ("f", "g", "f"):
        meta = message_class("tensorflow.MetaGraphDef")()
        meta.graph_def.library.function.add().signature.name = name
        meta.meta_info_def.stripped_op_list.op.add(name=f"Op_{name}")
        import_meta_graph_def(graph, meta)
    assert [function.signature.name for function in graph.library.function] == ["f", "g"]
    assert sorted(graph.op_defs) == ["Op_f", "Op_g"]

    meta.graph_def.library.function[0].signature.description = "another one"
    meta.graph_def.node.add(name="n", op="NoOp")
    with pytest.raises(InvalidArgumentError, match="another function of the name 'f'"):
        import_meta_graph_def(graph, meta)
    assert graph.get_operations() == []


@pytest.mark.parametrize(("ours", "theirs", "producer"), [(False, 1569, 1569), (True, 1569, 27), (True, 8, 8)])
def test_a_graph_is_understood_by_the_oldest_rules_in_it(ours: bool, theirs: int, producer: int) -> None:
    graph, meta = Graph(), message_class("tensorflow.MetaGraphDef")()
    if ours:
        graph.add_operation("NoOp", "own")
    meta.graph_def.versions.producer, meta.graph_def.versions.min_consumer = theirs, 12
    meta.graph_def.node.add(name="imported", op="NoOp")
    import_meta_graph_def(graph, meta)

    versions = export_meta_graph_def(graph).graph_def.versions
    assert (versions.producer, versions.min_consumer) == (producer, 12)


@pytest.mark.parametrize(
    ("device", "canonical"), [("/cpu:0", "/device:CPU:0"), ("/task:1/job:ps", "/job:ps/task:1"), ("", "")]
)
def test_devices_are_written_as_tensorflow_writes_them_today(device: str, canonical: str) -> None:
    meta, graph = with_collections(), Graph()
    for node in meta.graph_def.node:
        node.device = device
    import_meta_graph_def(graph, meta)
    assert {operation.device for operation in graph.get_operations()} == {canonical}
    assert {node.device for node in export_meta_graph_def(graph).graph_def.node} == {canonical}


def test_a_device_that_is_none_may_be_cleared() -> None:
    meta, graph = with_collections(), Graph()
    node_of(meta, "w").device = "somewhere"
    import_meta_graph_def(graph, meta, clear_devices=True)
    assert graph.get_operation_by_name("w").device == ""


DAMAGES = [
    (lambda meta: setattr(node_of(meta, "w/read"), "name", "w"), "two nodes .* have the name 'w'"),
    (lambda meta: setattr(node_of(meta, "w/read"), "name", "_w"), "'_w' is not a name"),
    (lambda meta: setattr(node_of(meta, "w/read"), "name", ""), "'' is not a name"),
    (lambda meta: node_of(meta, "w/read").input.append("gone:3"), "node 'w/read' .* takes 'gone:3'"),
    (lambda meta: node_of(meta, "w/read").input.append("^gone"), "takes '\\^gone'"),
    (lambda meta: setattr(node_of(meta, "w/read"), "device", "at home"), "node 'w/read': 'at home'"),
    (lambda meta: setattr(node_of(meta, "w/read"), "device", "/cpu:0/gpu:0"), "node 'w/read': .* two types"),
    (lambda meta: value_of(meta, "variables", b"\xff"), "collection 'variables' has a value that is no"),
    (lambda meta: value_of(meta, "variables", b"\x0a\x06gone:0"), "'variables'|'gone:0'"),
    (lambda meta: value_of(meta, "variables", b"\x0a\x09w/Assign:0\x12\x08w/Assign"), "name|variable"),
    (lambda meta: value_of(meta, "savers", b"\xff"), "collection 'savers' has a value that is no"),
    (lambda meta: value_of(meta, "while_context", b"\xff"), "collection 'while_context'"),
    (lambda meta: meta.collection_def["ops"].node_list.value.append("gone"), "collection 'ops' names 'gone'"),
    (lambda meta: node_of(meta, "w").attr["dtype"].Clear(), "'imp/w' .* variable of a known dtype"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[message for _, message in DAMAGES])
def test_what_is_no_whole_graph_says_what_is_wrong(damage: Any, message: str) -> None:
    meta = with_collections()
    damage(meta)
    with pytest.raises(InvalidArgumentError, match=message):
        import_meta_graph_def(Graph(), meta, import_scope="imp" if "imp" in message or "context" in message else None)


@pytest.mark.parametrize("damage", [damage for damage, message in DAMAGES[:7]])
def test_nodes_are_added_all_or_none(damage: Any) -> None:
    meta, graph = with_collections(), Graph()
    damage(meta)
    with pytest.raises(InvalidArgumentError):
        import_meta_graph_def(graph, meta)
    assert graph.get_operations() == []


def test_a_finalized_graph_takes_nothing() -> None:
    graph = Graph()
    graph.finalize()
    with pytest.raises(RuntimeError, match="finalized"):
        import_meta_graph_def(graph, with_collections())


def test_a_return_element_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="return_elements names 'gone'"):
        import_meta_graph_def(Graph(), with_collections(), return_elements=["gone"])


def test_a_collection_of_no_kind_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    meta, graph = with_collections(), Graph()
    meta.collection_def["odd"].SetInParent()
    import_meta_graph_def(graph, meta)
    assert "odd" not in graph.collections
    assert "'odd' is not imported" in caplog.text


def test_collections_that_are_not_wanted_are_left_out() -> None:
    graph = Graph()
    import_meta_graph_def(graph, with_collections(), restore_collections_predicate=lambda key: key == "ints")
    assert graph.collections == ["ints"]


def value_of(meta: Any, key: str, value: bytes) -> None:
    meta.collection_def[key].bytes_list.value[:] = [value]
