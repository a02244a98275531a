"""Variables, those in parts, tensors and values as tensors."""

from __future__ import annotations

import numpy as np
import pytest

from cloudckpt.compat import v1 as tf


def test_in_a_graph_a_session_runs_them() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.get_variable("w", initializer=np.arange(3.0))
        parts = tf.get_variable("p", [4], initializer=tf.ones_initializer(), partitioner=tf.fixed_size_partitioner(2))
        fed = tf.placeholder(tf.float32)
        session.run(tf.global_variables_initializer())
        assert tf.convert_to_tensor(fed) is fed
        assert tf.convert_to_tensor(w, dtype=tf.float64).name == "w/read:0"
        assert session.run(tf.convert_to_tensor(w)).tolist() == [0.0, 1.0, 2.0]
        assert session.run(tf.convert_to_tensor(parts, tf.float32)).tolist() == [1.0] * 4
        constant = tf.convert_to_tensor([1, 2], dtype=tf.float32, name="pair")
        assert (constant.name, session.run(constant).tolist()) == ("pair:0", [1.0, 2.0])


def test_outside_of_graphs_they_are_arrays() -> None:
    assert tf.convert_to_tensor(tf.Variable([1.0], name="w")).tolist() == [1.0]
    assert tf.convert_to_tensor([1, 2], tf.int64).dtype == np.int64


def test_a_variable_of_another_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="float64 is asked for"):
        tf.convert_to_tensor(tf.Variable([1.0], name="w"), dtype=tf.float64)
    with tf.Graph().as_default(), pytest.raises(ValueError, match="int32 is asked for"):
        tf.convert_to_tensor(tf.placeholder(tf.float32), tf.int32)
