"""Graphs, tensors and op definitions beside real TensorFlow's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.debug_info import graph_debug_info
from cloudckpt.graph.encoding.default_attrs import strip_default_attrs
from cloudckpt.graph.encoding.graph_def import PRODUCER, encode_graph
from cloudckpt.graph.encoding.meta_graph_file import read_meta_graph, write_meta_graph
from cloudckpt.graph.encoding.op_defs import known_op_def, used_op_defs
from cloudckpt.graph.encoding.op_specs import OP_SPECS
from cloudckpt.graph.encoding.proto_file import read_proto
from cloudckpt.graph.encoding.tensor_proto import decode_tensor, encode_tensor
from cloudckpt.storage.open import open_location
from cloudckpt.variables.dtypes import DataType, to_numpy
from cloudckpt.variables.graphs.graph import Graph
from tests.tensorflow.real_graphs import read, real_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = [dtype for dtype in DataType if dtype not in {DataType.RESOURCE, DataType.VARIANT, DataType.STRING}]
SHAPES = [(), (4,), (2, 3), (0,)]
# TensorFlow's Python reads and writes these as content only, its C++ reads every form.
CONTENT_ONLY = {DataType.FLOAT8_E4M3FNUZ, DataType.FLOAT8_E4M3B11FNUZ, DataType.FLOAT8_E5M2FNUZ}


def theirs(module: str, name: str, ours: Any) -> Any:
    """One of our messages as TensorFlow's."""
    kind = getattr(importlib.import_module(f"tensorflow.core.{module}_pb2"), name)
    return kind.FromString(ours.SerializeToString())


def ours(full_name: str, message: Any) -> Any:
    """One of TensorFlow's messages as ours."""
    return message_class(full_name).FromString(message.SerializeToString())


def numbers(data_type: int, shape: tuple[int, ...]) -> Any:
    dtype = to_numpy(data_type)
    count = int(np.prod(shape))
    plain = np.arange(count) % 3 - (1 if data_type in {DataType.INT8, DataType.INT4, DataType.FLOAT} else 0)
    if dtype.names:
        return plain.astype(dtype[0]).view(dtype).reshape(shape)
    return plain.astype(dtype).reshape(shape)


def assert_same(found: Any, expected: Any) -> None:
    """The same elements; the unused bits of an int4 or int2 may be others, and TensorFlow's C++ gives plain integers
    for quantised ones."""
    if expected.dtype.names and not found.dtype.names:
        expected = expected.view(expected.dtype[0])
    if found.dtype.names and not expected.dtype.names:
        found = found.view(found.dtype[0])
    assert (found.shape, found.tolist()) == (expected.shape, expected.tolist())


def run(tf: Any, graph_def: Any, fetch: str) -> Any:
    """What TensorFlow's C++ makes of a graph."""
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session() as session:
            return session.run(fetch)


def constant(array: Any) -> Any:
    graph = Graph()
    graph.add_operation("Const", "c", attrs={"dtype": DataType(encode_tensor(array).dtype), "value": array})
    return graph


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("data_type", NUMBERS, ids=lambda data_type: data_type.name)
def test_tensorflow_reads_our_tensors(tf: Any, data_type: DataType, shape: tuple[int, ...]) -> None:
    array = numbers(data_type, shape)
    message = encode_tensor(array)
    if message.tensor_content or data_type not in CONTENT_ONLY:
        read_by_python = tf.make_ndarray(theirs("framework.tensor", "TensorProto", message))
        assert_same(read_by_python, array)
    read_by_cpp = run(tf, theirs("framework.graph", "GraphDef", encode_graph(constant(array))), "c:0")
    assert_same(read_by_cpp, array)


@pytest.mark.parametrize("shape", [(), (3,), (0,)], ids=str)
def test_tensorflow_reads_our_strings(tf: Any, shape: tuple[int, ...]) -> None:
    array = np.array([b"a", b"", b"\xff"][: int(np.prod(shape))], object).reshape(shape)
    assert tf.make_ndarray(theirs("framework.tensor", "TensorProto", encode_tensor(array))).tolist() == array.tolist()
    graph_def = theirs("framework.graph", "GraphDef", encode_graph(constant(array)))
    assert np.asarray(run(tf, graph_def, "c:0"), object).tolist() == array.tolist()


# As content it writes no fewer than two elements.
WRITTEN = [(dtype, shape) for dtype in NUMBERS for shape in SHAPES if dtype not in CONTENT_ONLY or np.prod(shape) > 1]


@pytest.mark.parametrize(("data_type", "shape"), WRITTEN, ids=str)
def test_we_read_tensorflows_tensors(tf: Any, data_type: DataType, shape: tuple[int, ...]) -> None:
    array = numbers(data_type, shape)
    message = tf.make_tensor_proto(array, dtype=tf.dtypes.as_dtype(int(data_type)))
    again = decode_tensor(ours("tensorflow.TensorProto", message))
    assert again.dtype == array.dtype
    assert_same(again, array)


@pytest.mark.parametrize("values", [[], [0], [0, 2], [0, 2, 1]], ids=str)
@pytest.mark.parametrize("data_type", NUMBERS, ids=lambda data_type: data_type.name)
def test_short_lists_are_to_us_what_they_are_to_tensorflow(tf: Any, data_type: DataType, values: list[int]) -> None:
    listed = message_class("tensorflow.TensorProto")()
    for value in values:
        scalar = encode_tensor(numbers(data_type, (3,))[value])
        scalar.ClearField("tensor_shape")
        scalar.float8_val = listed.float8_val + scalar.float8_val
        listed.MergeFrom(scalar)
    listed.dtype = data_type
    listed.tensor_shape.dim.add(size=3)
    graph_def = importlib.import_module("tensorflow.core.framework.graph_pb2").GraphDef()
    node = graph_def.node.add(name="c", op="Const")
    node.attr["dtype"].type = data_type
    node.attr["value"].tensor.MergeFromString(listed.SerializeToString())
    assert_same(decode_tensor(listed), run(tf, graph_def, "c:0"))


def test_strings_in_one_piece_are_to_us_what_they_are_to_tensorflow(tf: Any) -> None:
    graph_def = importlib.import_module("tensorflow.core.framework.graph_pb2").GraphDef()
    node = graph_def.node.add(name="c", op="Const")
    node.attr["dtype"].type = DataType.STRING
    tensor = node.attr["value"].tensor
    tensor.dtype = DataType.STRING
    tensor.tensor_shape.dim.add(size=3)
    tensor.tensor_content = b"\x01\x00\x03axyz"
    found = decode_tensor(ours("tensorflow.TensorProto", tensor)).tolist()
    assert found == run(tf, graph_def, "c:0").tolist() == [b"a", b"", b"xyz"]


def constants(message: Any) -> Iterator[Any]:
    """The values of the Const nodes in a file."""
    for meta in getattr(message, "meta_graphs", [message]):
        functions = (function.node_def for function in meta.graph_def.library.function)
        for nodes in (meta.graph_def.node, *functions):
            yield from (node.attr["value"].tensor for node in nodes if node.op == "Const")


def test_constants_of_real_files_are_to_us_what_they_are_to_tensorflow(tf: Any, real_checkpoints: Path) -> None:
    count = 0
    for path, kind in real_files(real_checkpoints):
        for message in constants(read(path, message_class(f"tensorflow.{kind}")())):
            if message.dtype in {DataType.RESOURCE, DataType.VARIANT}:
                continue
            expected = tf.make_ndarray(theirs("framework.tensor", "TensorProto", message))
            found = decode_tensor(message)
            assert (found.dtype, found.tolist()) == (expected.dtype, expected.tolist()) or np.isnan(found).any(), path
            count += 1
    assert count > 1000


def without_type_inference(op_def: Any) -> Any:
    for argument in [*op_def.input_arg, *op_def.output_arg]:
        argument.ClearField("experimental_full_type")
    return op_def


@pytest.mark.parametrize("name", OP_SPECS)
def test_op_defs_are_tensorflows(tf: Any, name: str) -> None:
    from tensorflow.python.framework import op_def_registry

    assert known_op_def(name) == without_type_inference(ours("tensorflow.OpDef", op_def_registry.get(name)))


def variable_graph() -> Graph:
    """A variable as this library makes it, by hand."""
    graph = Graph()
    located = ["loc:@w"]
    value = np.array([1.5, 2.5], np.float32)
    graph.add_operation("Const", "w/initial_value", attrs={"dtype": DataType.FLOAT, "value": value})
    variable = {"dtype": DataType.FLOAT, "shape": (2,), "container": "", "shared_name": ""}
    graph.add_operation("VariableV2", "w", attrs=variable, device="/device:CPU:0")
    assign = {"T": DataType.FLOAT, "validate_shape": True, "use_locking": True, "_class": located}
    graph.add_operation("Assign", "w/Assign", inputs=("w", "w/initial_value"), attrs=assign)
    graph.add_operation("Identity", "w/read", inputs=("w",), attrs={"T": DataType.FLOAT, "_class": located})
    graph.add_operation("NoOp", "init", inputs=("^w/Assign",))
    return graph


def test_tensorflow_runs_our_graph(tf: Any) -> None:
    graph_def = theirs("framework.graph", "GraphDef", encode_graph(variable_graph()))
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session() as session:
            session.run("init")
            assert session.run(["w:0", "w/read:0"])[1].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("producer", [21, 24, PRODUCER, 134, 2474])
def test_our_nodes_mean_the_same_by_the_rules_of_every_version(tf: Any, producer: int) -> None:
    graph = variable_graph()
    graph.add_operation("Placeholder", "p", attrs={"dtype": DataType.FLOAT, "shape": ()})
    message = theirs("framework.graph", "GraphDef", encode_graph(graph))
    message.versions.producer = producer
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(message, name="")
        # Before 24 a Placeholder's shape () said that its shape is not known.
        assert (imported.get_tensor_by_name("p:0").shape.rank == 0) is (producer >= 24)
        assert imported.get_tensor_by_name("w/read:0").shape.as_list() == [2]
        with tf.compat.v1.Session() as session:
            session.run("init")
            assert session.run("w:0").tolist() == [1.5, 2.5]


def test_stripping_leaves_what_tensorflows_leaves(tf: Any, real_checkpoints: Path) -> None:
    from tensorflow.python.framework import meta_graph, op_def_registry

    stripped = 0
    for path, kind in real_files(real_checkpoints):
        if kind != "MetaGraphDef":
            continue
        message = read(path, message_class("tensorflow.MetaGraphDef")())
        expected = theirs("protobuf.meta_graph", "MetaGraphDef", message)
        meta_graph.strip_graph_default_valued_attrs(expected)
        before = message.ByteSize()
        ops = {node.op for node in message.graph_def.node}
        registered = {op: op_def_registry.get(op) for op in ops}
        op_defs = {op: ours("tensorflow.OpDef", op_def) for op, op_def in registered.items() if op_def is not None}
        strip_default_attrs(message.graph_def, op_defs)
        stripped += before - message.ByteSize()
        assert message.graph_def == ours("tensorflow.GraphDef", expected.graph_def), path
    assert stripped > 1000


def test_used_ops_are_those_that_tensorflow_lists(tf: Any) -> None:
    from tensorflow.python.framework import meta_graph

    message = encode_graph(variable_graph())
    listed = meta_graph.stripped_op_list_for_graph(theirs("framework.graph", "GraphDef", message))
    assert list(used_op_defs(message, {}).values()) == [ours("tensorflow.OpDef", op_def) for op_def in listed.op]


@pytest.mark.parametrize("as_text", [False, True])
def test_meta_graph_files_go_both_ways(tf: Any, tmp_path: Path, as_text: bool) -> None:
    meta = message_class("tensorflow.MetaGraphDef")()
    meta.graph_def.CopyFrom(encode_graph(variable_graph()))
    meta.collection_def["c"].any_list.value.add().Pack(message_class("tensorflow.SaverDef")(max_to_keep=3))
    path = str(tmp_path / "ours.meta")
    with open_location(path) as location:
        write_meta_graph(location, meta, as_text=as_text)
    from tensorflow.python.framework import meta_graph

    read_by_them = meta_graph.read_meta_graph_file(path)
    assert ours("tensorflow.MetaGraphDef", read_by_them) == meta
    tf.io.write_graph(read_by_them, str(tmp_path), "theirs.meta", as_text=as_text)
    with open_location(str(tmp_path / "theirs.meta")) as location:
        assert read_meta_graph(location) == meta
    if not as_text:
        assert (tmp_path / "theirs.meta").read_bytes() == (tmp_path / "ours.meta").read_bytes()


def test_tensorflows_own_message_is_written_too(tf: Any, tmp_path: Path) -> None:
    message = theirs("protobuf.meta_graph", "MetaGraphDef", message_class("tensorflow.MetaGraphDef")())
    message.graph_def.node.add(name="w")
    with open_location(str(tmp_path / "model.meta")) as location:
        write_meta_graph(location, message)
        assert read_meta_graph(location).graph_def.node[0].name == "w"


def test_tensorflow_reads_our_debug_info(tf: Any) -> None:
    from tensorflow.python.util import tf_stack

    graph = variable_graph()
    info = theirs("framework.graph_debug_info", "GraphDebugInfo", graph_debug_info(graph.get_operations()))
    traces = tf_stack.LoadTracesFromDebugInfo(info)
    assert {name.removesuffix("@") for name in traces} == {operation.name for operation in graph.get_operations()}
    innermost = traces["w@"][-1]
    assert (innermost.filename, innermost.name) == (__file__, "variable_graph")


@pytest.mark.parametrize("as_text", [False, True])
def test_we_read_tensorflows_debug_info_from_where_we_would_write_it(tf: Any, tmp_path: Path, as_text: bool) -> None:
    path = str(tmp_path / "my.model.meta")
    with tf.Graph().as_default():
        tf.constant(1.0, name="c")
        tf.compat.v1.train.export_meta_graph(path, as_text=as_text, save_debug_info=True)
    with open_location(str(tmp_path / "my.model.debug")) as location:
        info = read_proto(location, "tensorflow.GraphDebugInfo")
    frames = [info.frames_by_id[number] for number in info.traces_by_id[info.name_to_trace_id["c@"]].frame_id]
    assert __file__ in [info.files[frame.file_index] for frame in frames]
    # Outermost first: pytest before this test, and this test before TensorFlow.
    assert [frame.func for frame in frames].index(frames[-1].func) == len(frames) - 1
