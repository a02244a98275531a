"""Checkpoints by object, of real tf.train.Checkpoint and tf_keras, restored by the names of their variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import InvalidArgumentError, TensorNotFoundError
from cloudckpt.objects.object_graph.stored import OBJECT_GRAPH
from cloudckpt.saver.object_based import keys_by_object
from tests.tensorflow.test_save_load_real_files import lacks_data, prefixes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Written = tuple[str, "dict[str, NDArray[Any]]"]
"""A checkpoint's prefix, and what it holds by the variables' names."""


def by_name(variables: list[Any]) -> dict[str, NDArray[Any]]:
    return {variable.name.removesuffix(":0"): variable.numpy() for variable in variables}


def trained_model(tf_keras: Any, optimizer: Any) -> Any:
    model = tf_keras.Sequential(
        [tf_keras.layers.Dense(3, input_shape=(2,), name="dense"), tf_keras.layers.Dense(1, name="dense_1")]
    )
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    return model


def nested(tf: Any, tf_keras: Any, prefix: str) -> Written:
    a, b = tf.Variable([1.0, 2.0], name="a"), tf.Variable(["x", "żółw"], name="scope/b")
    checkpoint = tf.train.Checkpoint(tree={"list": [a], "text": b}, elements=iter(tf.data.Dataset.range(3)))
    return checkpoint.save(prefix), by_name([a, b]) | {"save_counter": np.array(1)}


def weights(tf: Any, tf_keras: Any, prefix: str) -> Written:
    """With the slots of today's optimizers, which are lists of variables."""
    model = trained_model(tf_keras, "adam")
    model.save_weights(prefix)
    return prefix, by_name([*model.variables, *model.optimizer.variables])


def slots(tf: Any, tf_keras: Any, prefix: str) -> Written:
    """With those that the tree has as slot variables."""
    model = trained_model(tf_keras, tf_keras.optimizers.legacy.Adam())
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(prefix)
    return path, by_name([*model.variables, *model.optimizer.variables()])


def keras_3(tf: Any, tf_keras: Any, prefix: str) -> Written:
    keras = pytest.importorskip("keras", reason="Keras 3 comes with TensorFlow")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    path = tf.train.Checkpoint(model=model).save(prefix)
    return path, {variable.path: variable.numpy() for variable in model.variables}


KINDS: dict[str, Callable[[Any, Any, str], Written]] = {
    "nested": nested,
    "weights": weights,
    "slots": slots,
    "keras 3": keras_3,
}


@pytest.fixture(params=[*KINDS])
def written(request: pytest.FixtureRequest, tf: Any, tf_keras: Any, tmp_path: Path) -> Written:
    return KINDS[request.param](tf, tf_keras, str(tmp_path / "ckpt"))


def empty(values: Mapping[str, NDArray[Any]]) -> dict[str, ckpt.Variable]:
    """Variables of ours by these names and dtypes, with other values."""
    return {
        name: ckpt.Variable(np.full_like(value, b"" if value.dtype == object else 0), name=name)
        for name, value in values.items()
    }


def test_a_saver_restores_it_by_name(written: Written) -> None:
    path, values = written
    variables = empty(values)
    train.Saver([*variables.values()]).restore(None, path)
    for name, value in values.items():
        assert variables[name].numpy().tolist() == value.tolist()


def test_in_a_graph_a_session_gets_the_values(written: Written) -> None:
    path, values = written
    with ckpt.Graph().as_default(), ckpt.Session() as session:
        variables = empty(values)
        train.Saver().restore(session, path)
        for name, value in values.items():
            assert session.run(variables[name]).tolist() == value.tolist()


def test_a_mapping_gets_the_values(written: Written) -> None:
    path, values = written
    arrays: dict[str, Any] = {name: np.zeros_like(value) for name, value in values.items()}
    train.Saver(empty(values)).restore(arrays, path)
    for name, value in values.items():
        assert arrays[name].tolist() == value.tolist()


def test_some_of_its_variables_are_restored(written: Written) -> None:
    path, values = written
    name = min(values)
    (variable,) = empty({name: values[name]}).values()
    train.Saver([variable]).restore(None, path)
    assert variable.numpy().tolist() == values[name].tolist()


def test_a_dict_gives_the_old_names(written: Written) -> None:
    path, values = written
    variables = {f"new/{name}": variable for name, variable in empty(values).items()}
    train.Saver({name.removeprefix("new/"): variable for name, variable in variables.items()}).restore(None, path)
    for name, value in values.items():
        assert variables[f"new/{name}"].numpy().tolist() == value.tolist()


def test_the_keys_are_those_that_tensorflow_finds(tf: Any, written: Written) -> None:
    from tensorflow.python.training.saver import object_graph_key_mapping

    path, values = written
    theirs = object_graph_key_mapping(path)
    theirs.pop("", None)  # iterators, and the tree itself
    with open_prefix(path, None) as prefix:
        assert keys_by_object(open_checkpoint(prefix), theirs) == theirs
    assert theirs.keys() >= values.keys()


def test_a_key_of_the_checkpoint_is_a_name_too(tf: Any, tmp_path: Path) -> None:
    path = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0])).save(str(tmp_path / "ckpt"))
    variable = ckpt.Variable(np.zeros(2, np.float32))
    train.Saver({"w/.ATTRIBUTES/VARIABLE_VALUE": variable}).restore(None, path)
    assert variable.numpy().tolist() == [1, 2]


def test_a_name_that_is_missing(tf: Any, tmp_path: Path) -> None:
    path = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0], name="w")).save(str(tmp_path / "ckpt"))
    with pytest.raises(tf.errors.NotFoundError, match=r"not in the checkpoint: x(.|\n)*1 variable name"):
        tf.compat.v1.train.Saver({"w": tf.Variable([0.0, 0.0]), "x": tf.Variable(0.0)}).restore(None, path)
    w, x = ckpt.Variable([0.0, 0.0], dtype=np.float32), ckpt.Variable(0.0)
    with pytest.raises(TensorNotFoundError, match=r"the names 'x'.*'save_counter'; 1 of the names did match"):
        train.Saver({"w": w, "x": x}).restore(None, path)
    assert w.numpy().tolist() == [0, 0]


def test_a_shape_that_differs(tf: Any, tmp_path: Path) -> None:
    path = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0], name="w")).save(str(tmp_path / "ckpt"))
    with pytest.raises(ValueError, match="incompatible tensor with shape"):
        tf.compat.v1.train.Saver({"w": tf.Variable([0.0])}).restore(None, path)
    with pytest.raises(ValueError, match="w"):
        train.Saver({"w": ckpt.Variable([0.0], dtype=np.float32)}).restore(None, path)


def test_a_dtype_that_differs(tf: Any, tmp_path: Path) -> None:
    path = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0], name="w")).save(str(tmp_path / "ckpt"))
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.compat.v1.train.Saver({"w": tf.Variable([0, 0])}).restore(None, path)
    with pytest.raises(InvalidArgumentError, match="w"):
        train.Saver({"w": ckpt.Variable([0, 0], dtype=np.int32)}).restore(None, path)


def test_of_variables_of_one_name_tensorflow_takes_the_last_and_ours_none(tf: Any, tmp_path: Path) -> None:
    """Executing eagerly a variable without a name is named "Variable", and so are all others."""
    path = tf.train.Checkpoint(a=tf.Variable(1.0), b=tf.Variable(2.0)).save(str(tmp_path / "ckpt"))
    their = tf.Variable(0.0)
    tf.compat.v1.train.Saver({"Variable": their}).restore(None, path)
    assert their.numpy() == 2
    ours = ckpt.Variable(0.0, dtype=np.float32)
    with pytest.raises(InvalidArgumentError, match=r"2 variables .* 'a/.ATTRIBUTES/VARIABLE_VALUE', 'b/"):
        train.Saver({"Variable": ours}).restore(None, path)
    train.Saver({"a/.ATTRIBUTES/VARIABLE_VALUE": ours}).restore(None, path)
    assert ours.numpy() == 1


def keys_of_names(tf: Any, path: str) -> dict[str, set[str]]:
    """The keys of each name, as real TensorFlow parses the tree."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    keys: dict[str, set[str]] = {}
    for node in TrackableObjectGraph.FromString(tf.train.load_variable(path, OBJECT_GRAPH)).nodes:
        for attribute in node.attributes:
            keys.setdefault(attribute.full_name, set()).add(attribute.checkpoint_key)
    return {name: found for name, found in keys.items() if name}


def test_real_ones_are_restored_by_name(tf: Any, real_checkpoints: Path) -> None:
    """Those of Sonnet, Keras and others. Where variables share a name, as those of a network and of its copy to train
    against, or a mean and a variance, TensorFlow would take the last for each.
    """
    restored, refused = 0, 0
    for path in prefixes(real_checkpoints):
        if lacks_data(path) or OBJECT_GRAPH not in dict(tf.train.list_variables(path)):
            continue
        reader = tf.train.load_checkpoint(path)
        for name, keys in keys_of_names(tf, path).items():
            expected = [np.asarray(reader.get_tensor(key)) for key in keys]
            (variable,) = empty({name: expected[0]}).values()
            saver = train.Saver([variable])
            if len(keys) == 1:
                saver.restore(None, path)
                assert variable.numpy().tolist() == expected[0].tolist()
                restored += 1
            else:
                with pytest.raises(InvalidArgumentError, match=f"{len(keys)} variables of"):
                    saver.restore(None, path)
                refused += 1
    assert restored > 200
    assert refused > 20
