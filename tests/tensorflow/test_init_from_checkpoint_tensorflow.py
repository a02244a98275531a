"""Initializers that read a checkpoint, as real TensorFlow runs them, and its own variables initialized by ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt.compat.v1 as ours
from cloudckpt import train
from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pathlib import Path

A = np.array([1, 2], np.float32)
B = np.arange(12, dtype=np.float64).reshape(4, 3)
TEXT = np.array([b"x", b"yz"], object)


@pytest.fixture
def prefix(tf: Any, tmp_path: Path) -> str:
    """A checkpoint of TensorFlow's, one variable of it in parts."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("s/a", initializer=A)
        parts = v1.get_variable(
            "s/b", B.shape, v1.float64, v1.zeros_initializer(), partitioner=v1.fixed_size_partitioner(2)
        )
        v1.get_variable("text", initializer=["x", "yz"])
        session.run(v1.global_variables_initializer())
        for part, rows in zip(parts, np.split(B, 2), strict=True):
            part.load(rows, session)
        path: str = v1.train.Saver().save(session, str(tmp_path / "theirs"), write_meta_graph=False)
    return path


@pytest.fixture
def by_reference(tf: Any) -> Any:
    """TensorFlow, making the variables that ours are."""
    tf.compat.v1.disable_resource_variables()
    yield tf.compat.v1
    tf.compat.v1.enable_resource_variables()


def model(v1: Any, prefix: str) -> dict[str, Any]:
    """Variables on devices, in parts and without a shape, initialized from the checkpoint."""
    zeros = v1.zeros_initializer()
    with v1.variable_scope("t"):
        with v1.device("/job:ps/task:1/gpu:0"):
            a = v1.get_variable("a", shape=[2], initializer=zeros)
        parts = v1.get_variable(
            "b", shape=[4, 3], dtype=v1.float64, initializer=zeros, partitioner=v1.fixed_size_partitioner(2)
        )
    text = v1.Variable(np.array(["", ""]), name="text", validate_shape=False)
    with v1.name_scope("outer"), v1.device("/gpu:3"):
        v1.train.init_from_checkpoint(prefix, [("text", text), ("s/b", [*parts]), ("s/a", a)])
    return {"a": a, "text": text} | {f"part {number}": part for number, part in enumerate(parts)}


def test_the_nodes_are_tensorflows(by_reference: Any, prefix: str) -> None:
    """Of all that is called after the initializer: names, types, inputs, devices and attributes."""
    nodes, initializers = {}, {}
    for v1 in (by_reference, ours):
        with v1.Graph().as_default():
            variables = model(v1, prefix)
            graph_def = v1.train.export_meta_graph(clear_devices=False).graph_def
            nodes[v1] = {node.name: node for node in graph_def.node if node.name.startswith("outer")}
            initializers[v1] = {
                name: (variable.initializer.name.removesuffix(":0"), variable.initial_value.name)
                for name, variable in variables.items()
            }
    assert len(nodes[ours]) == 20
    assert nodes[ours].keys() == nodes[by_reference].keys()
    assert initializers[ours] == initializers[by_reference]
    for name, node in nodes[ours].items():
        their = nodes[by_reference][name]
        assert (node.op, node.device, [*node.input]) == (their.op, their.device, [*their.input])
        attrs = {key: value.SerializeToString() for key, value in node.attr.items() if key != "_output_shapes"}
        assert attrs == {key: value.SerializeToString() for key, value in their.attr.items() if key != "_output_shapes"}


def test_tensorflow_runs_the_initializers_of_our_meta_graph(tf: Any, prefix: str, tmp_path: Path) -> None:
    """It reads the checkpoint then: what it gives is not what our meta graph was saved beside."""
    with ours.Graph().as_default(), ours.Session() as session:
        variables = model(ours, prefix)
        ours.global_variables_initializer()
        for variable in variables.values():
            variable.load(np.full_like(variable.numpy(), b"?" if variable.dtype == "string" else 9), session)
        saver = ours.train.Saver()
        path = saver.save(session, str(tmp_path / "ours"))
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.import_meta_graph(f"{path}.meta", clear_devices=True)
        session.run("init")
        assert (session.run("t/a:0") == A).all()
        assert (np.concatenate([session.run(f"t/b/part_{part}:0") for part in range(2)]) == B).all()
        assert session.run("text:0").tolist() == TEXT.tolist()


def test_variables_of_tensorflow_have_the_values_at_once(tf: Any, prefix: str) -> None:
    """As TensorFlow's own function gives them, executing eagerly."""
    for function in (train.init_from_checkpoint, tf.compat.v1.train.init_from_checkpoint):
        a, b = tf.Variable(tf.zeros([2])), tf.Variable(tf.zeros([4, 3], tf.float64))
        assert function(prefix, {"s/a": a, "s/b": b}) is None
        assert (a.numpy() == A).all()
        assert (b.numpy() == B).all()


def test_a_dtype_that_differs_is_found_when_tensorflow_reads(tf: Any, prefix: str) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.init_from_checkpoint(prefix, {"s/a": v1.Variable([0, 0])})
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(v1.global_variables_initializer())
    with ours.Graph().as_default(), pytest.raises(InvalidArgumentError, match="float32"):
        train.init_from_checkpoint(prefix, {"s/a": ours.Variable([0, 0])})


def test_a_shape_that_differs_in_a_scope_is_never_found_by_tensorflow(tf: Any, prefix: str) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        wrong = v1.get_variable("t/a", shape=[3])
        v1.train.init_from_checkpoint(prefix, {"s/": "t/"})
        session.run(v1.global_variables_initializer())
        assert session.run(wrong).shape == (2,)
    with ours.Graph().as_default():
        ours.get_variable("t/a", shape=[3])
        with pytest.raises(InvalidArgumentError, match=r"shape \(2,\)"):
            train.init_from_checkpoint(prefix, {"s/": "t/"})


@pytest.mark.parametrize("use_resource", [False, True], ids=["reference", "resource"])
def test_the_meta_graph_of_a_program_of_tensorflow_that_began_with_a_checkpoint(
    tf: Any, prefix: str, tmp_path: Path, use_resource: bool
) -> None:
    """Ours restores what it has trained since; its initializers read a checkpoint, which our sessions refuse."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variable = v1.get_variable("t/a", shape=[2], use_resource=use_resource)
        v1.train.init_from_checkpoint(prefix, {"s/": "t/"})
        session.run([variable.initializer])
        session.run(variable.assign([5.0, 6.0]))
        path = v1.train.Saver().save(session, str(tmp_path / "trained"))
    with ours.Graph().as_default(), ours.Session() as session:
        ours.train.import_meta_graph(f"{path}.meta").restore(session, path)
        (variable,) = ours.global_variables()
        assert session.run(variable).tolist() == [5, 6]
        with pytest.raises(InvalidArgumentError, match="reads a checkpoint"):
            session.run(variable.initializer)
        ours.train.init_from_checkpoint(prefix, {"s/a": variable})
        session.run(variable.initializer)
        assert session.run(variable).tolist() == A.tolist()
        again = ours.train.Saver().save(session, str(tmp_path / "again"))
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.import_meta_graph(f"{again}.meta").restore(session, path)
        (variable,) = v1.global_variables()
        assert session.run(variable).tolist() == [5, 6]
        session.run(variable.initializer)
        assert session.run(variable).tolist() == A.tolist()
