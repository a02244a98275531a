"""Variables by name: their initial values, and what is refused; tests/tensorflow compares names with TensorFlow's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.compat import v1 as tf
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as graph:
        yield graph


def test_an_initializer_is_called_with_the_shape_and_the_dtype() -> None:
    asked = []

    def initializer(shape: Sequence[int], dtype: Any) -> Any:
        asked.append((shape, dtype.as_numpy_dtype))
        return np.ones(shape, dtype.as_numpy_dtype)

    variable = tf.get_variable("w", [2, 3], tf.int64, initializer)
    assert asked == [([2, 3], np.int64)]
    np.testing.assert_array_equal(variable.numpy(), np.ones((2, 3), np.int64))


def test_an_initializer_of_parts_is_told_which_it_makes() -> None:
    asked = []

    def initializer(shape: Sequence[int], dtype: Any = None, partition_info: Any = None) -> Any:
        asked.append(partition_info)
        return np.zeros(shape)

    tf.get_variable("w", [3], initializer=initializer, partitioner=tf.fixed_size_partitioner(2))
    assert asked == [SaveSliceInfo("w", (3,), (0,), (2,)), SaveSliceInfo("w", (3,), (2,), (1,))]


def test_an_initializer_may_be_a_class() -> None:
    assert tf.get_variable("w", [2], initializer=tf.ones_initializer).numpy().tolist() == [1, 1]


def test_an_initializer_without_arguments_needs_no_shape() -> None:
    variable = tf.get_variable("w", initializer=lambda: np.arange(3))
    assert (variable.shape, variable.dtype.name) == ((3,), "int64")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [([1.0, 2.0], "float32"), ([1, 2], "int32"), (np.arange(2.0), "float64"), (b"text", "string")],
)
def test_an_initial_value_gives_shape_and_dtype(value: Any, dtype: str) -> None:
    variable = tf.get_variable("w", initializer=value)
    assert (variable.shape, variable.dtype.name) == (np.shape(value), dtype)
    assert np.asarray(variable).tolist() == np.asarray(value, object).tolist()


def test_an_initial_value_may_be_a_constant_or_a_variable() -> None:
    constant = tf.get_variable("c", dtype=tf.int32, initializer=tf.constant([1, 2]))
    other = tf.get_variable("o", initializer=constant)
    parts = tf.get_variable("p", initializer=tf.constant([1, 2]), partitioner=tf.fixed_size_partitioner(2))
    for variable in (constant, other, parts):
        assert variable.numpy().tolist() == [1, 2]
        assert variable.dtype == np.int32
    with pytest.raises(ValueError, match="computed when it runs"):
        tf.get_variable("x", initializer=constant.assign([3, 4]), partitioner=tf.fixed_size_partitioner(2))


@pytest.mark.parametrize(("dtype", "value"), [("int32", 0), ("bool", False), ("string", b""), ("uint8", 0)])
def test_without_an_initializer_integers_are_zero(dtype: str, value: Any) -> None:
    assert tf.get_variable("w", [2], dtype).numpy().tolist() == [value, value]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_without_an_initializer_fractions_are_glorots(dtype: str) -> None:
    value = tf.get_variable("w", [50, 50], dtype).numpy().astype(np.float32)
    assert len(np.unique(value)) > 10
    assert np.abs(value).max() <= np.sqrt(6 / 100) * 1.01


def test_the_scopes_defaults_are_taken() -> None:
    with tf.variable_scope("s", initializer=tf.ones_initializer(), dtype=tf.int64) as scope:
        assert tf.get_variable("w", [1]).numpy().tolist() == [1]
        assert tf.get_variable("x", [1], initializer=tf.zeros_initializer()).numpy().tolist() == [0]
    with tf.variable_scope(scope, initializer=tf.constant_initializer(3)):
        assert tf.get_variable("y", [1]).numpy().tolist() == [3]
    with tf.variable_scope("s", partitioner=tf.fixed_size_partitioner(2)):
        assert len(tf.get_variable("z", [2])) == 2


def test_options_are_the_variables() -> None:
    variable = tf.get_variable("w", [2], trainable=False, collections=["mine"], validate_shape=False, use_resource=True)
    assert not variable.trainable
    assert (tf.get_collection("mine"), tf.global_variables()) == ([variable], [])
    assert variable.shape is None or variable.shape == (2,)


def test_what_is_for_training_is_taken_and_changes_nothing() -> None:
    def never(*_: Any) -> None:
        raise AssertionError("there is no loss to add to, and no optimizer to obey")

    with tf.variable_scope("layer", regularizer=never):
        w = tf.get_variable("w", [2], initializer=tf.ones_initializer(), regularizer=never, constraint=never)
    assert (w.name, w.numpy().tolist()) == ("layer/w:0", [1.0, 1.0])
    assert tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES) == []


def test_what_exists_is_said_to_be_made_where_it_was() -> None:
    tf.get_variable("w", [2])
    with pytest.raises(ValueError, match=r"(?s)'w' exists.*test_get_variable\.py:\d+, in test_what_exists"):
        tf.get_variable("w", [2])


def test_a_message_names_what_is_missing_and_the_way_out() -> None:
    with tf.variable_scope("s", reuse=True), pytest.raises(ValueError, match=r"'s/w' does not exist.*AUTO_REUSE"):
        tf.get_variable("w", [2])


def test_shapes_with_unknown_sizes_fit() -> None:
    variable = tf.get_variable("w", [2, 3])
    with tf.variable_scope("", reuse=True):
        assert tf.get_variable("w", [None, 3]) is variable
        with pytest.raises(ValueError, match=r"shape \(2, 3\), not \(None, 4\)"):
            tf.get_variable("w", [None, 4])


def test_a_graphs_variables_are_its_own() -> None:
    one = tf.get_variable("w", [2])
    with tf.Graph().as_default():
        other = tf.get_variable("w", [3])
    assert (one.name, other.name) == ("w:0", "w:0")
    assert one is not other


def test_a_thread_starts_outside_of_scopes_and_shares_the_variables(graph: tf.Graph) -> None:
    found: list[Any] = []

    def elsewhere(scope: Any) -> None:
        with graph.as_default():
            found.append(tf.get_variable_scope().name)
            with tf.variable_scope(scope, reuse=True):
                found.append(tf.get_variable("w"))

    with tf.variable_scope("s") as scope:
        variable = tf.get_variable("w", [2])
        thread = threading.Thread(target=elsewhere, args=(scope,))
        thread.start()
        thread.join()
    assert found == ["", variable]


def test_a_scope_is_left_when_its_block_fails() -> None:
    before = tf.get_variable_scope()
    with pytest.raises(KeyError), tf.variable_scope("s"):
        raise KeyError
    assert tf.get_variable_scope() is before


def test_a_scope_of_a_graph_that_was_left_makes_its_names() -> None:
    block = tf.variable_scope("s")
    names = []
    for number in range(2):
        with block as scope:
            names.append((scope.name, tf.get_variable(f"w{number}", [1]).name))
    assert names == [("s", "s/w0:0"), ("s", "s/w1:0")]


def test_ten_thousand_scopes_with_default_names_are_told_apart() -> None:
    for _ in range(10_000):
        with tf.variable_scope(None, "layer", auxiliary_name_scope=False) as scope:
            pass
    assert scope.name == "layer_9999"


def test_local_variables_are_in_their_collection_and_others_that_are_named() -> None:
    variable = tf.get_local_variable("w", [2], tf.int32, tf.ones_initializer(), collections=["mine"])
    assert isinstance(variable, Variable)
    assert not variable.trainable
    assert tf.local_variables() == tf.get_collection("mine") == [variable]
    assert tf.global_variables() == []
