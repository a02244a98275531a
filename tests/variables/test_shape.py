"""Shapes as programs get them: tuples, with the methods of TensorFlow's that programs use."""

from __future__ import annotations

import pickle

import pytest

from cloudckpt.compat import v1 as tf
from cloudckpt.variables.shape import Shape


@pytest.mark.parametrize(
    ("shape", "elements", "defined"), [((), 1, True), ((2, 3), 6, True), ((0, 3), 0, True), ((None, 3), None, False)]
)
def test_what_a_shape_says(shape: tuple[int | None, ...], elements: int | None, defined: bool) -> None:
    found = Shape(shape)
    assert found == shape
    assert found.as_list() == list(shape)
    assert found.ndims == found.rank == len(found) == len(shape)
    assert found.num_elements() == elements
    assert found.is_fully_defined() is defined
    assert pickle.loads(pickle.dumps(found)) == found


def test_who_has_one() -> None:
    with tf.Graph().as_default():
        w = tf.Variable([[1.0, 2.0]], name="w")
        parts = tf.get_variable("p", [4, 2], partitioner=tf.fixed_size_partitioner(2))
        fed = tf.placeholder(tf.float32, [None, 3])
        found = [each.get_shape().as_list() for each in (w, w.value(), parts, *parts, fed)]
        assert found == [[1, 2], [1, 2], [4, 2], [2, 2], [2, 2], [None, 3]]
        assert [each.shape.ndims for each in (w, parts, fed)] == [2, 2, 2]
        assert tf.placeholder(tf.float32).get_shape() is None
    assert tf.Variable(1.0, name="w").shape.num_elements() == 1
