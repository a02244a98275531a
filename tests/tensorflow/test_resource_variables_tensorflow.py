"""Variables that TensorFlow knows by handle: those that it makes by itself today, and ours of a few dtypes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.compat import v1 as our_v1
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.handle_nodes import HANDLES_ONLY
from tests.tensorflow.test_save_load import assert_equal
from tests.tensorflow.test_saver_dtypes_tensorflow import arrays_of, blank, name_of, tensor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("data_type", sorted(HANDLES_ONLY), ids=name_of)
def test_tensorflow_can_not_assign_to_reference_variables_of(tf: Any, data_type: DataType) -> None:
    """Which is why ours are resource variables in a graph."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.Variable(tensor(tf, arrays_of(data_type)[f"{name_of(data_type)}/vector"]), use_resource=False)
        with pytest.raises(tf.errors.InvalidArgumentError, match="No OpKernel"):
            session.run(v1.global_variables_initializer())


@pytest.mark.parametrize("data_type", sorted(HANDLES_ONLY), ids=name_of)
def test_the_nodes_of_resource_variables_are_tensorflows(tf: Any, data_type: DataType) -> None:
    array = arrays_of(data_type)[f"{name_of(data_type)}/vector"]
    found = []
    for v1, value in ((tf.compat.v1, partial(tensor, tf, array)), (our_v1, lambda: our_v1.constant(array))):
        with v1.Graph().as_default(), v1.name_scope("scope"), v1.device("/cpu:1"):
            v1.Variable(value(), name="w", use_resource=True)
            nodes = v1.train.export_meta_graph().graph_def.node
        found.append({node.name: shown(node) for node in nodes})
    theirs, ours = found
    assert len(theirs) == 5
    assert ours == theirs


def shown(node: Any) -> tuple[Any, ...]:
    """All of a node but how a constant is written, and what only says which nodes are to be together."""
    left_out = {"_class", "_output_shapes", "value"}
    attrs = {key: value.SerializeToString() for key, value in node.attr.items() if key not in left_out}
    return node.op, [*node.input], node.device, attrs


@pytest.mark.parametrize("data_type", [DataType.FLOAT, *sorted(HANDLES_ONLY)], ids=name_of)
def test_tensorflow_runs_our_assignments(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    array = arrays_of(data_type)[f"{name_of(data_type)}/vector"]
    with ckpt.Graph().as_default(), ckpt.Session() as session:
        variable = ckpt.Variable(blank(array), name="w")
        assigned, operation = variable.assign(array), variable.assign(array, read_value=False)
        read = variable.read_value()
        session.run(variable.initializer)
        assert_equal(session.run(variable), blank(array))
        assert_equal(session.run(assigned), array)
        session.run(operation)
        assert_equal(session.run(read), array)
        path = train.Saver().save(session, str(tmp_path / "ours"))
    v1 = tf.compat.v1
    for run in (assigned.name, operation.name):
        with tf.Graph().as_default(), v1.Session() as session:
            v1.train.import_meta_graph(f"{path}.meta")
            session.run(variable.initializer.name)
            assert_equal(session.run(read.name), blank(array))
            value = session.run(run)
            assert value is None or value.tolist() == array.tolist()
            assert_equal(session.run(read.name), array)


def test_assignments_to_imported_resource_variables_run_in_tensorflow(tf: Any, tmp_path: Path) -> None:
    """What TensorFlow 2 makes by itself in its graphs."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("w", initializer=[1.0, 2.0], use_resource=True)
        session.run(v1.global_variables_initializer())
        path = v1.train.Saver().save(session, str(tmp_path / "theirs"))
    with ckpt.Graph().as_default(), ckpt.Session() as session:
        train.import_meta_graph(f"{path}.meta").restore(session, path)
        (variable,) = our_v1.global_variables()
        runs = [variable.assign([5.0, 6.0]), variable.assign_add([1.0, 1.0]), variable.assign_sub([2.0, 2.0])]
        assert [session.run(run).tolist() for run in runs] == [[5, 6], [6, 7], [4, 5]]
        path = train.Saver().save(session, str(tmp_path / "ours"))
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.import_meta_graph(f"{path}.meta").restore(session, path)
        assert session.run(v1.global_variables()[0]).tolist() == [4, 5]
        assert [session.run(run.name).tolist() for run in runs] == [[5, 6], [6, 7], [4, 5]]


@pytest.mark.parametrize("data_type", [DataType.FLOAT, *sorted(HANDLES_ONLY)], ids=name_of)
def test_arrays_that_a_graph_saves_are_variables_to_tensorflow(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    array = arrays_of(data_type)[f"{name_of(data_type)}/vector"]
    with ckpt.Graph().as_default():
        path = train.Saver({"array": array}).save(None, str(tmp_path / "ours"))
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.train.import_meta_graph(f"{path}.meta").restore(session, path)
        (read,) = [each for each in graph.get_operations() if each.name in {"array/read", "array/Read/ReadVariableOp"}]
        assert_equal(session.run(read.outputs[0]), array)
