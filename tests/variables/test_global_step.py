"""The global step: made once, found again, of integers; tests/tensorflow compares with TensorFlow's."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.compat import v1 as tf
from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as graph:
        yield graph


def test_there_is_none_at_first() -> None:
    assert tf.train.get_global_step() is None


def test_it_is_a_scalar_of_int64_that_nobody_trains() -> None:
    step = tf.train.create_global_step()
    assert (step.name, step.dtype.name, step.shape, step.trainable) == ("global_step:0", "int64", (), False)
    assert tf.get_collection(tf.GraphKeys.GLOBAL_STEP) == tf.global_variables() == [step]


def test_it_is_made_in_the_graph_that_is_given(graph: tf.Graph) -> None:
    other = tf.Graph()
    step = tf.train.get_or_create_global_step(other)
    assert step.graph is other
    assert tf.train.get_global_step(other) is step
    assert tf.train.get_global_step(graph) is None


def test_it_is_found_by_its_name(graph: tf.Graph) -> None:
    variable = tf.Variable(3, name="global_step")
    found = tf.train.get_global_step()
    assert found == graph.get_tensor_by_name("global_step:0")
    with tf.Session() as session:
        session.run(variable.initializer)
        assert tf.train.global_step(session, found) == 3


def test_of_several_none_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        tf.Variable(3, collections=[tf.GraphKeys.GLOBAL_STEP])
    with caplog.at_level(logging.ERROR):
        assert tf.train.get_global_step() is None
    assert "holds 2 values" in caplog.text


@pytest.mark.parametrize("value", [1.5, [1, 2], b"one"])
@pytest.mark.parametrize("collected", [True, False])
def test_what_counts_no_steps_is_refused(value: Any, collected: bool) -> None:
    collections = [tf.GraphKeys.GLOBAL_STEP] if collected else None
    tf.Variable(value, name="global_step", collections=collections)
    with pytest.raises(TypeError, match="the global step 'global_step:0' is"):
        tf.train.get_global_step()


def test_what_is_no_variable_is_refused() -> None:
    tf.add_to_collection(tf.GraphKeys.GLOBAL_STEP, 5)
    with pytest.raises(TypeError, match="must be a variable or a tensor, got 5"):
        tf.train.get_global_step()


def test_its_number_is_the_sessions_or_its_own() -> None:
    step = tf.train.create_global_step()
    with tf.Session() as session:
        with pytest.raises(InvalidArgumentError):
            tf.train.global_step(session, step)
        session.run(step.initializer)
        session.run(step.assign_add(np.int64(41)))
        assert tf.train.global_step(session, step) == tf.train.global_step(session, "global_step:0") == 41
    assert tf.train.global_step(None, step) == 0
