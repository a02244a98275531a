"""What the saver of eager execution writes, loaded by real TensorFlow and tf_keras by name; and theirs by ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.eager import Saver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KERNEL, BIAS = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2, 3], np.float32)


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """A checkpoint of ours with a kernel and a bias."""
    return Saver([ckpt.Variable(KERNEL, name="dense/kernel"), ckpt.Variable(BIAS, name="dense/bias")]).save(
        str(tmp_path / "ckpt"), 3
    )


class TensorFlowSaver:
    """tf.contrib.eager.Saver, which TensorFlow 2 has no more: all that it was (contrib/eager/python/saver.py)."""

    def __init__(self, tf: Any, var_list: Any) -> None:
        self.saver = tf.compat.v1.train.Saver(var_list)

    def save(self, file_prefix: str, global_step: Any = None) -> str:
        path: str = self.saver.save(None, file_prefix, write_meta_graph=False, global_step=global_step)
        return path

    def restore(self, file_prefix: str) -> None:
        self.saver.restore(None, file_prefix)


def model_of(tf_keras: Any) -> Any:
    return tf_keras.Sequential(
        [tf_keras.layers.Dense(3, input_shape=(2,), name="dense"), tf_keras.layers.BatchNormalization(name="norm")]
    )


def as_ours(variables: list[Any], change: Callable[[np.ndarray], np.ndarray] = np.copy) -> list[ckpt.Variable]:
    """Variables of ours by the same names."""
    return [
        ckpt.Variable(change(variable.numpy()), name=variable.name.removesuffix(":0"), dtype=variable.dtype.name)
        for variable in variables
    ]


@pytest.mark.parametrize("call", ["restore", "read"])
def test_checkpoint_loads_it_by_name(tf: Any, saved: str, call: str) -> None:
    kernel, bias = tf.Variable(tf.zeros([2, 3]), name="dense/kernel"), tf.Variable(tf.zeros([3]), name="dense/bias")
    checkpoint = tf.train.Checkpoint(any_attribute=kernel, other=[bias])
    getattr(checkpoint, call)(saved).assert_existing_objects_matched().assert_consumed()
    assert (kernel.numpy() == KERNEL).all()
    assert (bias.numpy() == BIAS).all()


def test_checkpoint_leaves_what_has_another_name(tf: Any, saved: str) -> None:
    kernel, other = tf.Variable(tf.zeros([2, 3]), name="dense/kernel"), tf.Variable(tf.zeros([3]), name="other")
    status = tf.train.Checkpoint(kernel=kernel, other=other).restore(saved)
    assert (kernel.numpy() == KERNEL).all()
    assert (other.numpy() == 0).all()
    with pytest.raises(AssertionError, match="other"):
        status.assert_existing_objects_matched()


def test_checkpoint_manager_finds_the_latest(tf: Any, saved: str, tmp_path: Path) -> None:
    assert tf.train.latest_checkpoint(str(tmp_path)) == saved
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(), str(tmp_path), max_to_keep=3)
    assert manager.latest_checkpoint == saved


def test_load_weights_of_tf_keras_loads_it_by_name(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    model = model_of(tf_keras)
    ours = as_ours(model.variables, lambda array: array + 1)
    model.load_weights(Saver(ours).save(str(tmp_path / "weights")))
    assert len(ours) == 6
    for found, expected in zip(model.variables, ours, strict=True):
        assert (found.numpy() == expected.numpy()).all()


def test_optimizer_slots_of_tf_keras_load_it_by_name(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    model = model_of(tf_keras)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    every = [*model.variables, *model.optimizer.variables]
    ours = as_ours(every, lambda array: array + 1)
    status = tf.train.Checkpoint(model=model, optimizer=model.optimizer).restore(Saver(ours).save(str(tmp_path / "a")))
    status.expect_partial()
    assert {variable.name for variable in every} >= {"Adam/m/dense/kernel:0", "iteration:0"}
    for found, expected in zip(every, ours, strict=True):
        assert (found.numpy() == expected.numpy()).all()


def test_keras_3_loads_nobodys_name_based_checkpoints(tf: Any, saved: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras", reason="Keras 3 comes with TensorFlow")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    names = {variable.path: tf.Variable(variable.numpy()) for variable in model.variables}
    their = tf.compat.v1.train.Saver(names).save(None, str(tmp_path / "theirs"), write_meta_graph=False)
    for path in (saved, their):
        with pytest.raises(ValueError, match="File format not supported"):
            model.load_weights(path)


def test_the_saver_of_version_1_loads_it(tf: Any, saved: str) -> None:
    v1 = tf.compat.v1
    kernel = tf.Variable(tf.zeros([2, 3]), name="dense/kernel")
    v1.train.Saver([kernel]).restore(None, saved)
    assert (kernel.numpy() == KERNEL).all()
    with tf.Graph().as_default(), v1.Session() as session:
        kernel = v1.get_variable("dense/kernel", [2, 3])
        v1.train.Saver().restore(session, saved)
        assert (session.run(kernel) == KERNEL).all()


def test_it_loads_what_tensorflow_writes_by_name(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("dense/kernel", initializer=KERNEL)
        v1.get_variable("text", initializer=["a", "żółw"])
        session.run(v1.global_variables_initializer())
        path = v1.train.Saver().save(session, str(tmp_path / "theirs"))
    kernel, text = ckpt.Variable(np.zeros_like(KERNEL), name="dense/kernel"), ckpt.Variable(["", ""], name="text")
    Saver([kernel, text]).restore(path)
    assert (kernel.numpy() == KERNEL).all()
    assert text.numpy().tolist() == [b"a", "żółw".encode()]


def test_variables_of_tensorflow_and_tf_keras_are_saved_and_restored(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    model = model_of(tf_keras)
    expected = [variable.numpy() for variable in model.variables]
    saver = Saver(model.variables)
    path = saver.save(str(tmp_path / "ckpt"), tf.Variable(4, dtype=tf.int64))
    assert path == str(tmp_path / "ckpt-4")
    for variable in model.variables:
        variable.assign(tf.zeros_like(variable))
    saver.restore(path)
    for variable, value in zip(model.variables, expected, strict=True):
        assert (variable.numpy() == value).all()
    assert [name for name, _ in tf.train.list_variables(path)] == sorted(
        variable.name.removesuffix(":0") for variable in model.variables
    )


@pytest.mark.parametrize("kind", ["constant", "Variable"])
def test_global_step_of_tensorflow(tf: Any, tmp_path: Path, kind: str) -> None:
    step = getattr(tf, kind)(5)
    ours, theirs = Saver({"w": np.zeros(2)}), TensorFlowSaver(tf, {"w": tf.Variable(tf.zeros([2]))})
    assert ours.save(str(tmp_path / "ckpt"), step) == theirs.save(str(tmp_path / "ckpt"), step)


def test_the_same_files_and_states_as_tensorflows(tf: Any, tmp_path: Path) -> None:
    """Eight saves of two savers each, the second of a program that was started again."""
    for kind in ("ours", "theirs"):
        for start in (0, 8):
            folder = tmp_path / kind
            folder.mkdir(exist_ok=True)
            if kind == "ours":
                saver: Any = Saver([ckpt.Variable(KERNEL, name="w")])
            else:
                saver = TensorFlowSaver(tf, [tf.Variable(KERNEL, name="w")])
            for step in range(start, start + 8):
                assert saver.save(str(folder / "ckpt"), step) == str(folder / f"ckpt-{step}")
            saver.restore(str(folder / f"ckpt-{start + 5}"))
    listed = {kind: sorted(path.name for path in (tmp_path / kind).iterdir()) for kind in ("ours", "theirs")}
    assert listed["ours"] == listed["theirs"]
    assert sum(name.endswith(".index") for name in listed["ours"]) == 10
    states = {kind: tf.train.get_checkpoint_state(str(tmp_path / kind)).all_model_checkpoint_paths for kind in listed}
    assert [path.rpartition("/")[2] for path in states["ours"]] == [
        path.rpartition("/")[2] for path in states["theirs"]
    ]
