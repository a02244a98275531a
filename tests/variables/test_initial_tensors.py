"""Tensors to begin variables with: constants in a graph, arrays outside of graphs, and the graph's seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.compat import v1 as tf
from cloudckpt.graph.encoding.graph_def import encode_graph

MAKERS: dict[str, tuple[Any, Any]] = {
    "zeros": (lambda: tf.zeros([2, 3], tf.int64), [[0, 0, 0], [0, 0, 0]]),
    "ones": (lambda: tf.ones((2,), "bfloat16"), [1.0, 1.0]),
    "Fill": (lambda: tf.fill([2], 2.5), [2.5, 2.5]),
    "random_normal": (lambda: tf.random_normal([2], mean=7.0, stddev=0.0), [7.0, 7.0]),
    "truncated_normal": (lambda: tf.truncated_normal([2], mean=7.0, stddev=0.0), [7.0, 7.0]),
    "random_uniform": (lambda: tf.random_uniform([2], 3, 4, tf.int32), [3, 3]),
}


@pytest.mark.parametrize("name", MAKERS)
def test_in_a_graph_they_are_constants_that_variables_begin_with(name: str) -> None:
    make, value = MAKERS[name]
    with tf.Graph().as_default(), tf.Session() as session:
        tensor = make()
        variable = tf.Variable(tensor, name="w")
        session.run(variable.initializer)
        assert (tensor.op.name, tensor.op.type) == (name, "Const")
        assert session.run(variable).tolist() == session.run(tensor).tolist() == value
        assert variable.dtype == tensor.dtype


@pytest.mark.parametrize("name", MAKERS)
def test_outside_of_graphs_they_are_arrays_that_can_not_be_written_to(name: str) -> None:
    make, value = MAKERS[name]
    array = make()
    assert isinstance(array, np.ndarray)
    assert array.tolist() == value
    assert not array.flags.writeable
    assert tf.Variable(array, name="w").numpy().tolist() == value


def test_the_name_of_the_node_is_the_one_that_is_given() -> None:
    with tf.Graph().as_default():
        assert tf.zeros([1], name="mine").name == "mine:0"
        assert tf.random_normal([1], name="mine").name == "mine_1:0"


@pytest.mark.parametrize(("make", "type"), [(tf.zeros, "Const"), (tf.ones, "Const"), (tf.random_normal, "Placeholder")])
def test_large_ones_are_not_written_into_the_graph_element_by_element(make: Any, type: str) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(make([784, 10]), name="w")
        assert w.initial_value.op.type == type
        session.run(w.initializer)
        assert session.run(w).shape == (784, 10)
    assert len(encode_graph(w.graph).SerializeToString()) < 2000


def test_seeds_give_the_same_numbers_in_every_run_and_others_at_every_call() -> None:
    def run(seed: int | None) -> list[Any]:
        with tf.Graph().as_default(), tf.Session() as session:
            if seed is not None:
                tf.set_random_seed(seed)
            drawn = [tf.random_normal([3]), tf.random_normal([3]), tf.get_variable("w", [3]).initial_value]
            return [session.run(tensor).tolist() for tensor in drawn]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert run(None) != run(None)
    assert len({str(numbers) for numbers in run(1)}) == 3


def test_outside_of_graphs_the_seed_is_that_of_the_default_graph() -> None:
    def draw() -> list[float]:
        tf.reset_default_graph()
        tf.set_random_seed(-1)
        return [*tf.random_uniform([2]), *tf.random_uniform([2])]

    first = draw()
    assert first == draw()
    assert len(set(first)) == 4
    tf.reset_default_graph()
    assert [*tf.random_uniform([4])] != first


def test_a_seed_of_their_own_goes_before_the_graphs() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        first, second = session.run([tf.random_uniform([2], seed=5), tf.random_uniform([2], seed=5)])
    assert first.tolist() == second.tolist()


def test_numbers_with_a_fraction_are_of_no_integer_dtype() -> None:
    with pytest.raises(ValueError, match="can't be of int32"):
        tf.random_normal([2], dtype=tf.int32)
    with pytest.raises(ValueError, match="need a maxval"):
        tf.random_uniform([2], dtype=tf.int32)
