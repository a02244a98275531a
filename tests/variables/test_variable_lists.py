"""The lists of a graph's variables that programs keep, and the initializers by their older names."""

from __future__ import annotations

import pytest

from cloudckpt.compat import v1 as tf


@pytest.mark.parametrize(
    ("listed", "collection"),
    [(tf.model_variables, "model_variables"), (tf.moving_average_variables, "moving_average_variables")],
)
def test_lists_are_what_programs_have_put_there(listed: object, collection: str) -> None:
    assert callable(listed)
    with tf.Graph().as_default():
        tf.Variable(0.0)
        kept = tf.Variable(1.0, name="scope/w", collections=[collection])
        assert listed() == listed(scope="scope") == [kept]
        assert listed(scope="other") == []
    assert listed() == []


def test_older_names_are_the_same_functions() -> None:
    assert tf.all_variables is tf.global_variables
    assert tf.initialize_all_variables is tf.initializers.global_variables is tf.global_variables_initializer
    assert tf.initialize_local_variables is tf.initializers.local_variables is tf.local_variables_initializer
    assert tf.initialize_variables is tf.initializers.variables is tf.variables_initializer
    assert tf.initializers.zeros is tf.zeros_initializer
    assert tf.initializers.glorot_uniform is tf.glorot_uniform_initializer


def test_tables_are_initialized_by_what_the_graph_has_for_it() -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        session.run(tf.tables_initializer())
        w = tf.Variable(1.0)
        tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, w.initializer)
        assert tf.tables_initializer().name == "init_all_tables_1"
        session.run(tf.tables_initializer(name="tables"))
        assert session.run(w) == 1.0
        assert graph.get_operation_by_name("tables").type == "NoOp"
    assert tf.tables_initializer() is None
