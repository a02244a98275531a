"""Models of Keras, and TensorFlow's own objects: `Checkpoint` and real TensorFlow's exchange them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.variables.variable import Variable
from tests.frameworks import require_torch
from tests.tensorflow import keras_job

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
OPTIMIZERS = ["Adam", "SGD", "legacy Adam", "legacy SGD", "Keras 3 Adam", "Keras 3 SGD"]

X = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)
Y = X.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def keras(tf: Any) -> Any:  # which is imported first, so that it is the backend
    import keras

    assert keras.backend.backend() == "tensorflow"
    return keras


@pytest.fixture(params=OPTIMIZERS)
def compiled(request: pytest.FixtureRequest, tf_keras: Any, keras: Any) -> Callable[..., Any]:
    """Makes a model with an optimizer of a kind; one that is not built yet, or trained."""
    kind, _, name = request.param.rpartition(" ")
    library = keras if kind == "Keras 3" else tf_keras
    optimizers = tf_keras.optimizers.legacy if kind == "legacy" else library.optimizers
    momentum = {"momentum": 0.5} if name == "SGD" else {}

    def make(seed: int | None = None) -> Any:
        layers = [library.layers.Dense(3, activation="relu"), library.layers.BatchNormalization()]
        model = library.Sequential([*layers, library.layers.Dropout(0.1), library.layers.Dense(1)])
        model.compile(getattr(optimizers, name)(0.1, **momentum), "mse")
        if seed is not None:
            library.utils.set_random_seed(seed)
            train(model)
        return model

    return make


def train(model: Any) -> None:
    model.fit(X, Y, verbose=0, epochs=2, shuffle=False)


def state(model: Any) -> list[np.ndarray]:
    variables = model.optimizer.variables
    return [*model.get_weights(), *(each.numpy() for each in (variables() if callable(variables) else variables))]


def assert_same(model: Any, other: Any) -> None:
    found, expected = state(model), state(other)
    assert len(found) == len(expected) > 10
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def tensors(tf: Any, path: str) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


# Keras over TensorFlow.


def test_a_trained_model_is_saved_as_tensorflow_saves_it(tf: Any, compiled: Any, tmp_path: Path) -> None:
    model = compiled(1)
    ours = tensors(tf, Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "ours"))
    theirs = tensors(tf, tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "theirs")))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, name)


def test_tensorflow_restores_what_we_save(tf: Any, compiled: Any, tmp_path: Path) -> None:
    model, other = compiled(1), compiled(2)
    path = Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "ckpt")
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path).assert_consumed()
    assert_same(other, model)


def test_we_restore_what_tensorflow_saves(tf: Any, compiled: Any, tmp_path: Path) -> None:
    model, other = compiled(1), compiled(2)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "ckpt"))
    Checkpoint(model=other, optimizer=other.optimizer).restore(path).assert_consumed()
    assert_same(other, model)


def test_a_model_that_is_built_later_gets_its_values_then(tf: Any, compiled: Any, tmp_path: Path) -> None:
    model = compiled(1)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "ckpt"))
    late, real = compiled(), compiled()
    status = Checkpoint(model=late, optimizer=late.optimizer).restore(path)
    with pytest.raises(AssertionError):
        status.assert_consumed()
    real_status = tf.train.Checkpoint(model=real, optimizer=real.optimizer).restore(path)
    late(X)
    real(X)
    for one, other in zip(late.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(late.get_weights()) == 8
    train(late)
    train(real)
    status.assert_consumed()
    real_status.assert_consumed()
    # Dropout's masks differ from model to model.
    assert int(late.optimizer.iterations) == int(real.optimizer.iterations) == 4


def test_a_later_restore_of_tensorflows_wins(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    paths = []
    for value in (1.0, 2.0):
        layer = tf_keras.layers.Dense(1, kernel_initializer=tf_keras.initializers.Constant(value))
        layer.build((None, 2))
        paths.append(tf.train.Checkpoint(layer=layer).save(str(tmp_path / "ckpt")))
    for first, second in ((Checkpoint, tf.train.Checkpoint), (tf.train.Checkpoint, Checkpoint)):
        layer = tf_keras.layers.Dense(1)
        first(layer=layer).restore(paths[0])
        second(layer=layer).restore(paths[1])
        layer.build((None, 2))
        np.testing.assert_array_equal(layer.kernel.numpy(), [[2.0], [2.0]])


def test_a_layer_that_is_built_while_a_function_is_traced(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    layer = tf_keras.layers.Dense(1, kernel_initializer="ones")
    layer.build((None, 4))
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "ckpt"))
    late = tf_keras.layers.Dense(1)
    status = Checkpoint(layer=late).restore(path)
    np.testing.assert_array_equal(tf.function(late)(X), layer(X))
    status.assert_consumed()


def test_layers_in_lists_and_dicts_are_not_lost(tf: Any, keras: Any, tmp_path: Path) -> None:
    class Listed(keras.Model):
        def __init__(self, value: float) -> None:
            super().__init__()
            ones = keras.initializers.Constant(value)
            self.many = [
                keras.layers.Dense(2, kernel_initializer=ones),
                [keras.layers.Dense(2, kernel_initializer=ones)],
            ]
            self.named = {"head": keras.layers.Dense(1, kernel_initializer=ones)}

        def call(self, inputs: Any) -> Any:
            return self.named["head"](self.many[1][0](self.many[0](inputs)))

    model, other = Listed(2.0), Listed(3.0)
    model(X)
    other(X)
    theirs = tensors(tf, tf.train.Checkpoint(model=model).write(str(tmp_path / "theirs")))
    assert not any("kernel" in name for name in theirs)  # what TensorFlow makes of it
    path = Checkpoint(model=model).write(tmp_path / "ours")
    assert "model/many/1/0/_kernel/.ATTRIBUTES/VARIABLE_VALUE" in tensors(tf, path)
    Checkpoint(model=other).read(path).assert_consumed()
    for one, two in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


# Keras 3 over other backends.


def run_job(backend: str, what: str, folder: Path, *paths: str) -> list[list[np.ndarray]]:
    """Run the program over a backend; returns the values of all variables for each of the checkpoints."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "tests" / "tensorflow" / "keras_job.py"), what, str(folder), *paths]
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = []
    for number in range(len(paths)):
        with np.load(folder / f"{number}.npz") as file:
            found.append([file[name] for name in file])
    return found


def assert_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected) > 30
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture(scope="module")
def saved(tf: Any, keras: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[np.ndarray]]]:
    """A checkpoint of ours over each backend, and TensorFlow's own, and what is in each."""
    folder = tmp_path_factory.mktemp("saved")
    found = {}
    for backend in ("jax", "numpy"):
        (values,) = run_job(backend, "save", folder / f"{backend}-values", f"{folder}/{backend}")
        found[backend] = (f"{folder}/{backend}", values)
    for seed, (name, make) in enumerate({"tensorflow": Checkpoint, "theirs": tf.train.Checkpoint}.items()):
        model = keras_job.model(keras)
        keras_job.fill(model, seed + 2)
        path = make(model=model, optimizer=model.optimizer).write(f"{folder}/{name}")
        found[name] = (path, keras_job.values(model))
    return found


@pytest.mark.parametrize("backend", ["jax", "numpy", "torch"])
def test_checkpoints_of_every_backend_are_restored_by_every_other(saved: Any, tmp_path: Path, backend: str) -> None:
    if backend == "torch":
        require_torch()
    paths, expected = zip(*saved.values(), strict=True)
    for found, values in zip(run_job(backend, "restore", tmp_path, *paths), expected, strict=True):
        assert_equal(found, values)


@pytest.mark.parametrize("built", [False, True])
def test_checkpoints_of_every_backend_are_restored_over_tensorflow(
    tf: Any, keras: Any, saved: Any, built: bool
) -> None:
    for path, expected in saved.values():
        for make in (Checkpoint, tf.train.Checkpoint):
            model = keras_job.model(keras, built=built)
            status = make(model=model, optimizer=model.optimizer).read(path)
            keras_job.build(model)
            status.assert_consumed()
            assert_equal(keras_job.values(model), expected)


def test_the_objects_of_other_backends_are_those_of_tensorflow(tf: Any, saved: Any) -> None:
    names = {name: {*tensors(tf, path)} for name, (path, _) in saved.items()}
    assert names["jax"] == names["numpy"] == names["tensorflow"] == names["theirs"]


# TensorFlow's own objects.


class Parts:
    """The same objects, TensorFlow's, in two programs."""

    def __init__(self, tf: Any, value: float) -> None:
        class Net(tf.Module):
            def __init__(self) -> None:
                super().__init__()
                self.weights = [tf.Variable([value, value]), {"bias": tf.Variable(value, dtype=tf.bfloat16)}]
                self.pair = (tf.Variable(value), 3)
                self.inner = tf.train.Checkpoint(step=tf.Variable(int(value), dtype=tf.int64))

        self.net = Net()
        self.generator = tf.random.Generator.from_seed(int(value))
        self.alone = tf.Variable(["text"] * int(value), shape=tf.TensorShape([None]))

    @property
    def objects(self) -> dict[str, Any]:
        return vars(self)


def test_modules_and_data_structures(tf: Any, tmp_path: Path) -> None:
    made, other, third = Parts(tf, 1.0), Parts(tf, 2.0), Parts(tf, 3.0)
    ours = Checkpoint(**made.objects).write(tmp_path / "ours")
    theirs = tf.train.Checkpoint(**made.objects).write(str(tmp_path / "theirs"))
    expected = tensors(tf, theirs)
    assert tensors(tf, ours).keys() == expected.keys()
    tf.train.Checkpoint(**other.objects).read(ours).assert_consumed()
    Checkpoint(**third.objects).read(theirs).assert_consumed()
    for number, parts in enumerate((other, third)):
        again = tensors(tf, tf.train.Checkpoint(**parts.objects).write(str(tmp_path / f"again-{number}")))
        for name, value in expected.items():
            np.testing.assert_array_equal(again[name], value, name)


def test_a_tensorflow_module_is_a_root(tf: Any, tmp_path: Path) -> None:
    made, other = Parts(tf, 1.0).net, Parts(tf, 2.0).net
    path = Checkpoint(made).save(tmp_path / "ckpt")
    tf.train.Checkpoint(other).restore(path).assert_consumed()
    assert other.inner.step.numpy() == 1
    Checkpoint(Parts(tf, 4.0).net).restore(path).assert_consumed()


def test_objects_of_both_in_one_checkpoint(tf: Any, tmp_path: Path) -> None:
    path = Checkpoint(ours=Variable(5.0), theirs=[tf.Variable(6.0)]).save(tmp_path / "ckpt")
    one, two = Variable(0.0), tf.Variable(0.0)
    Checkpoint(ours=one, theirs=[two]).restore(path).assert_consumed()
    assert (float(one.numpy()), float(two.numpy())) == (5.0, 6.0)


def test_python_state_of_tensorflows(tf: Any, tmp_path: Path) -> None:
    class State(tf.train.experimental.PythonState):
        def __init__(self, text: str) -> None:
            self.text = text

        def serialize(self) -> str:
            return self.text

        def deserialize(self, text: str) -> None:
            self.text = text.decode() if isinstance(text, bytes) else text

    path = Checkpoint(state=State("ours")).write(tmp_path / "ours")
    theirs, again = State(""), State("")
    tf.train.Checkpoint(state=theirs).read(path).assert_consumed()
    Checkpoint(state=again).read(path).assert_consumed()
    assert theirs.text == again.text == "ours"


def test_an_object_of_several_tensors_is_restored_from_all_of_them_at_once(tf: Any, tmp_path: Path) -> None:
    class Pair(tf.__internal__.tracking.Trackable):
        def __init__(self, one: float, two: list[bytes]) -> None:
            self.one, self.two, self.restored = tf.constant(one), tf.constant(two), 0

        def _serialize_to_tensors(self) -> dict[str, Any]:
            return {"one": self.one, "two": self.two}

        def _restore_from_tensors(self, restored: dict[str, Any]) -> None:
            self.one, self.two, self.restored = restored["one"], restored["two"], self.restored + 1

    ours = Checkpoint(pair=Pair(1.5, [b"x", b"y"])).write(tmp_path / "ours")
    theirs = tf.train.Checkpoint(pair=Pair(1.5, [b"x", b"y"])).write(str(tmp_path / "theirs"))
    for make in (Checkpoint, tf.train.Checkpoint):
        for path in (ours, theirs):
            pair = Pair(0.0, [b""])
            make(pair=pair).read(path).assert_consumed()
            assert (pair.one.numpy(), pair.two.numpy().tolist(), pair.restored) == (1.5, [b"x", b"y"], 1)


def test_what_only_tensorflow_can_save_is_refused(tf: Any, tmp_path: Path) -> None:
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    for thing in (iter(tf.data.Dataset.range(3)), table):
        with pytest.raises(TypeError, match=r"only TensorFlow can save a \w+: keep it out"):
            Checkpoint(thing=thing).write(tmp_path / "ckpt")
    assert not [*tmp_path.iterdir()]


def test_compat_v1_optimizers_have_slots(tf: Any, tmp_path: Path) -> None:
    def trained(times: int) -> tuple[Any, Any]:
        variable, optimizer = tf.Variable([1.0, 2.0]), tf.compat.v1.train.MomentumOptimizer(0.1, 0.9)
        for _ in range(times):
            optimizer.apply_gradients([(tf.constant([1.0, 3.0]), variable)])
        return variable, optimizer

    variable, optimizer = trained(3)
    path = Checkpoint(v=variable, o=optimizer).write(tmp_path / "ours")
    other, late = trained(1), trained(0)
    tf.train.Checkpoint(v=other[0], o=other[1]).read(path).assert_consumed()
    np.testing.assert_array_equal(other[1].get_slot(other[0], "momentum"), optimizer.get_slot(variable, "momentum"))
    Checkpoint(v=late[0], o=late[1]).read(path)
    for made in (late, (variable, optimizer)):
        made[1].apply_gradients([(tf.constant([1.0, 1.0]), made[0])])
    np.testing.assert_array_equal(late[0].numpy(), variable.numpy())
    np.testing.assert_array_equal(late[1].get_slot(late[0], "momentum"), optimizer.get_slot(variable, "momentum"))
