"""A graph's collections as messages, and what is left out of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from cloudckpt.descriptors import message_class
from cloudckpt.graph.collections import encode_collection
from cloudckpt.graph.context_names import moved_into_scope, moved_out_of_scope
from cloudckpt.graph.variable_def import decode_variable, encode_variable
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from cloudckpt.variables.variable import Variable


@pytest.fixture
def graph() -> Graph:
    with Graph().as_default() as graph, graph.name_scope("s"):
        Variable(np.zeros(2, np.float32), name="w")
    return graph


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        (["a", b"\xff"], "bytes_list", [b"a", b"\xff"]),
        ([1, True, 2**62], "int64_list", [1, 1, 2**62]),
        ([0.5, 1], "float_list", [0.5, 1.0]),
    ],
)
def test_plain_values_are_kept_as_they_are(graph: Graph, values: list[Any], kind: str, kept: list[Any]) -> None:
    message = encode_collection(graph, "key", values)
    assert message.WhichOneof("kind") == kind
    assert list(getattr(message, kind).value) == kept


def test_operations_tensors_and_variables_are_kept_by_name(graph: Graph) -> None:
    w = graph.get_collection("variables")[0]
    message = encode_collection(graph, "key", [w.op, graph.get_tensor_by_name("s/w/read:0"), w])
    assert list(message.node_list.value) == ["s/w", "s/w/read:0", "s/w:0"]


def test_messages_of_any_kind_are_kept(graph: Graph) -> None:
    message = AnyMessage(type_url="type.googleapis.com/x", value=b"bytes")
    kept = encode_collection(graph, "key", [message]).any_list.value[0]
    assert (kept.type_url, kept.value) == (message.type_url, message.value)


@pytest.mark.parametrize(
    "values",
    [[object()], [np.zeros(2)], [1, "a"], ["a", 1], [2**63], [Graph().add_operation("NoOp", "elsewhere")], [None]],
    ids=str,
)
def test_what_can_not_be_kept_is_left_out_with_a_warning(
    graph: Graph, values: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert encode_collection(graph, "odd", values) is None
    assert "collection 'odd' is not exported" in caplog.text


def test_a_collection_whose_name_is_no_string_is_left_out(graph: Graph, caplog: pytest.LogCaptureFixture) -> None:
    assert encode_collection(graph, 3, ["a"]) is None
    assert "collection 3 is not exported" in caplog.text


def test_an_empty_collection_is_left_out(graph: Graph) -> None:
    assert encode_collection(graph, "key", []) is None
    assert encode_collection(graph, "variables", graph.get_collection("variables"), export_scope="other") is None


def test_what_is_excluded_from_the_graph_is_excluded_from_collections(graph: Graph) -> None:
    operations = [graph.get_operation_by_name(name) for name in ("s/w", "s/w/read")]
    message = encode_collection(graph, "key", operations, excluded={"s/w"})
    assert list(message.node_list.value) == ["s/w/read"]


def test_a_variable_is_kept_by_the_names_of_its_nodes(graph: Graph) -> None:
    w = graph.get_collection("variables")[0]
    w.save_slice_info = SaveSliceInfo("s/whole", (4,), (2,), (2,))
    w.synchronization, w.aggregation = 1, 3

    message = encode_variable(w, "s")

    assert message.variable_name == "w:0"
    assert (message.initializer_name, message.snapshot_name) == ("w/Assign", "w/read:0")
    assert (message.initial_value_name, message.trainable) == ("w/initial_value:0", True)
    assert message.save_slice_info_def.full_name == "whole"
    again = decode_variable(graph, message, import_scope="s")
    assert again.op is w.op
    assert again.save_slice_info == w.save_slice_info
    assert (again.synchronization, again.aggregation) == (1, 3)
    assert encode_variable(again, "s") == message
    assert encode_variable(w, "other") is None


def test_a_saver_is_kept_where_it_is_within_the_scope(graph: Graph) -> None:
    saver_def = message_class("tensorflow.SaverDef")(
        filename_tensor_name="s/save/Const:0", save_tensor_name="s/save/Identity:0", restore_op_name="s/save/all"
    )
    message = encode_collection(graph, "savers", [saver_def], export_scope="s")
    (data,) = message.bytes_list.value
    assert message_class("tensorflow.SaverDef").FromString(data).restore_op_name == "save/all"
    assert encode_collection(graph, "savers", [saver_def], export_scope="other") is None


def test_the_names_in_a_loop_follow_into_a_scope_and_out_of_it() -> None:
    loop = message_class("tensorflow.WhileContextDef")(context_name="loop/context", parallel_iterations=10)
    loop.loop_exit_names.append("loop/Exit:0")
    loop.values_def.values.append("loop/i:0")
    loop.values_def.external_values["start:0"] = "loop/Enter:0"
    loop.nested_contexts.add().cond_ctxt.context_name = "loop/cond"
    data = loop.SerializeToString(deterministic=True)

    within = message_class("tensorflow.WhileContextDef").FromString(moved_into_scope("while_context", data, "s"))

    assert (within.context_name, within.parallel_iterations) == ("s/loop/context", 10)
    assert dict(within.values_def.external_values) == {"s/start:0": "s/loop/Enter:0"}
    assert within.nested_contexts[0].cond_ctxt.context_name == "s/loop/cond"
    assert within.maximum_iterations_name == ""
    assert moved_out_of_scope("while_context", within.SerializeToString(), "s") == data
    assert moved_out_of_scope("while_context", data, "s") is None


def test_the_names_in_a_queue_runner_follow_into_a_scope() -> None:
    kind = message_class("cloudckpt.graph.QueueRunnerDef")
    runner = kind(queue_name="queue", enqueue_op_name=["fill"], queue_closed_exception_types=[11])
    within = kind.FromString(moved_into_scope("queue_runners", runner.SerializeToString(), "s"))
    assert (within.queue_name, list(within.enqueue_op_name)) == ("s/queue", ["s/fill"])
    assert list(within.queue_closed_exception_types) == [11]
