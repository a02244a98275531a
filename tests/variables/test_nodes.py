"""The functions that add single nodes; tests/tensorflow compares the nodes."""

from __future__ import annotations

import numpy as np
import pytest

import cloudckpt.compat.v1 as tf
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.nodes import constant, group, no_op, placeholder
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK, Tensor
from cloudckpt.variables.variable import Variable
from cloudckpt.variables.variable_lists import global_variables_initializer, variables_initializer


def test_a_constant_is_an_array_without_a_graph() -> None:
    array = constant([1, 2], dtype="float64")
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.float64
    assert not array.flags.writeable
    assert constant(1, shape=(2, 2)).tolist() == [[1, 1], [1, 1]]  # type: ignore[union-attr]
    assert constant([1, 2], shape=(2, 1)).tolist() == [[1], [2]]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="reshape"):
        constant([1, 2], shape=(3,))


def test_a_constant_is_a_tensor_in_a_graph() -> None:
    with Graph().as_default():
        tensor = constant([1, 2], name="c")
    assert isinstance(tensor, Tensor)
    assert tensor.name == "c:0"
    assert tensor.op.attrs["dtype"] is DataType.INT32


def test_a_placeholder_is_of_a_graph() -> None:
    with Graph().as_default():
        assert placeholder("int64").op.attrs == {"dtype": DataType.INT64, "shape": UNKNOWN_RANK}
        assert placeholder("int64", (None, 2)).op.attrs["shape"] == (None, 2)
    with pytest.raises(RuntimeError, match="node of a graph: make it within"):
        placeholder("int64")


def test_there_are_no_operations_without_a_graph() -> None:
    assert no_op() is group() is global_variables_initializer() is variables_initializer([Variable(1.0)]) is None


@pytest.mark.parametrize("element", [None, 3, "w", [None]])
def test_what_is_no_operation_is_not_grouped(element: object) -> None:
    with Graph().as_default() as graph:
        with pytest.raises(TypeError):
            group(element)
        assert graph.get_operations() == []


def test_collections_and_scopes_of_the_default_graph() -> None:
    with Graph().as_default() as graph, tf.name_scope(None, "named") as scope, tf.device("/cpu:0"):
        first = tf.no_op()
        with tf.control_dependencies([first]):
            second = tf.no_op()
        tf.add_to_collection("c", first)
        tf.add_to_collections(["c", "d"], second)
        assert tf.get_collection("c") == graph.get_collection("c") == [first, second]
        assert tf.get_collection_ref("d") is graph.get_collection_ref("d")
    assert scope == "named/"
    assert (second.name, second.device, second.inputs) == ("named/NoOp_1", "/device:CPU:0", ("^named/NoOp",))
    with tf.control_dependencies([3]):  # without a graph everything runs in order anyway
        assert tf.executing_eagerly()


def test_the_door_is_whole() -> None:
    public = {name for name in vars(tf) if not name.startswith("_")}
    assert sorted(public) == sorted(tf.__all__)


def test_dtypes_have_tensorflows_names() -> None:
    assert tf.float32 == np.float32
    assert tf.half is not tf.float16
    assert tf.half == tf.float16
    assert tf.as_dtype("bfloat16") == tf.bfloat16
    assert tf.as_dtype(np.int64).name == "int64"
    assert tf.as_dtype(101) == tf.float32  # a reference to one
    with pytest.raises(TypeError, match="type_value"):
        tf.as_dtype("nothing")


def test_switches_of_other_versions_are_there() -> None:
    assert tf.enable_resource_variables() is tf.disable_resource_variables() is None
    tf.disable_v2_behavior()
    try:
        assert not tf.executing_eagerly()
    finally:
        tf.enable_v2_behavior()
    assert tf.executing_eagerly()
