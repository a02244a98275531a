"""Models of Keras, and TensorFlow's own objects: `Checkpoint` and real TensorFlow's exchange them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt import save
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


@dataclass
class Trained:
    """A model that was trained, saved by both.

    Attributes:
        make: makes a model like it, with its optimizer, neither of them built.
        model: the trained one.
        ours: the checkpoint of ours.
        theirs: TensorFlow's.
    """

    make: Callable[[], Any]
    model: Any
    ours: str
    theirs: str

    def built(self) -> Any:
        """Another model of this kind, with values of its own."""
        model = self.make()
        model(X)
        variables, optimizer = model.trainable_variables, model.optimizer
        optimizer.build(variables) if hasattr(optimizer, "build") else optimizer._create_all_weights(variables)
        return model


@pytest.fixture(params=OPTIMIZERS, scope="module")
def trained(
    request: pytest.FixtureRequest, tf: Any, tf_keras: Any, keras: Any, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A model with an optimizer of a kind."""
    kind, _, name = request.param.rpartition(" ")
    library = keras if kind == "Keras 3" else tf_keras
    optimizers = tf_keras.optimizers.legacy if kind == "legacy" else library.optimizers
    momentum = {"momentum": 0.5} if name == "SGD" else {}

    def make() -> Any:
        layers = [library.layers.Dense(3, activation="relu"), library.layers.BatchNormalization()]
        model = library.Sequential([*layers, library.layers.Dropout(0.1), library.layers.Dense(1)])
        # Run step by step: to trace and compile the step costs more than all that it does here.
        model.compile(getattr(optimizers, name)(0.1, **momentum), "mse", run_eagerly=True)
        return model

    library.utils.set_random_seed(1)
    model, folder = make(), tmp_path_factory.mktemp("trained")
    train(model)
    ours = Checkpoint(model=model, optimizer=model.optimizer).save(folder / "ours")
    theirs = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(folder / "theirs"))
    return Trained(make, model, ours, theirs)


def train(model: Any) -> None:
    for _ in range(2):
        model.train_on_batch(X, Y)


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


def test_a_trained_model_is_saved_as_tensorflow_saves_it(tf: Any, trained: Trained) -> None:
    ours, theirs = tensors(tf, trained.ours), tensors(tf, trained.theirs)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, name)


def test_tensorflow_restores_what_we_save(tf: Any, trained: Trained) -> None:
    other = trained.built()
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(trained.ours).assert_consumed()
    assert_same(other, trained.model)


def test_we_restore_what_tensorflow_saves(trained: Trained) -> None:
    other = trained.built()
    Checkpoint(model=other, optimizer=other.optimizer).restore(trained.theirs).assert_consumed()
    assert_same(other, trained.model)


def test_a_model_that_is_built_later_gets_its_values_then(tf: Any, trained: Trained) -> None:
    late, real = trained.make(), trained.make()
    status = Checkpoint(model=late, optimizer=late.optimizer).restore(trained.theirs)
    with pytest.raises(AssertionError):
        status.assert_consumed()
    real_status = tf.train.Checkpoint(model=real, optimizer=real.optimizer).restore(trained.theirs)
    late(X)
    real(X)
    for one, other in zip(late.get_weights(), trained.model.get_weights(), strict=True):
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


def test_dropout_goes_on_as_it_would_have_if_its_seed_is_saved(tf: Any, keras: Any, tmp_path: Path) -> None:
    def made() -> tuple[Any, dict[str, Any]]:
        dropout = keras.layers.Dropout(0.5)
        model = keras.Sequential([keras.layers.Dense(8), dropout, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
        model(X)
        model.optimizer.build(model.trainable_variables)
        return model, {"model": model, "optimizer": model.optimizer, "seeds": [dropout.seed_generator.state]}

    model, parts = made()
    train(model)
    theirs = tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(tmp_path / "theirs"))
    assert not any("seed" in name for name in tensors(tf, theirs))
    path = Checkpoint(**parts).write(tmp_path / "ours")
    train(model)
    other, parts = made()
    Checkpoint(**parts).read(path).assert_consumed()
    train(other)
    assert_same(other, model)


def test_layers_that_are_built_late_get_values_of_a_checkpoint_by_name(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    values = {"dense/kernel": np.full((2, 3), 5, np.float32), "dense/bias": np.arange(3, dtype=np.float32)}
    save(tmp_path / "named", values | {"step": np.int64(7)})

    def restored(make: Any) -> list[Any]:
        model = tf.Module()
        model.inner, model.again = tf.Module(), tf.Module()
        status = make(model=model).restore(str(tmp_path / "named"))
        model.inner.layer = tf_keras.layers.Dense(3, name="dense")
        model.inner.layer(np.zeros((1, 2), np.float32))
        model.again.step = tf.Variable(0, dtype=tf.int64, name="step")
        status.assert_consumed()
        return [each.numpy().tolist() for each in (*model.inner.layer.weights, model.again.step)]

    assert restored(Checkpoint) == restored(tf.train.Checkpoint) == [*(v.tolist() for v in values.values()), 7]


# Keras 3 over other backends.


def run_job(backend: str, folder: Path, *paths: str) -> list[list[np.ndarray]]:
    """Restore all checkpoints but the last, and save that; returns the values of all variables in each."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "tests" / "tensorflow" / "keras_job.py"), str(folder), *paths]
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


@dataclass
class Exchange:
    """What programs over several backends have saved, each after it had restored what there was before.

    Attributes:
        saved: prefixes and values, by the backends; "theirs" is TensorFlow's own.
        restored: what each backend restored, and what it should have.
    """

    saved: dict[str, tuple[str, list[np.ndarray]]]
    restored: dict[str, list[tuple[list[np.ndarray], list[np.ndarray]]]]


@pytest.fixture(scope="module")
def exchange(tf: Any, keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    folder = tmp_path_factory.mktemp("saved")
    found = Exchange({}, {})
    for seed, (name, make) in enumerate({"theirs": tf.train.Checkpoint, "tensorflow": Checkpoint}.items()):
        model = keras_job.model(keras)
        keras_job.fill(model, seed)
        path = make(model=model, optimizer=model.optimizer).write(f"{folder}/{name}")
        found.saved[name] = (path, keras_job.values(model))
    for backend in filter(importlib.util.find_spec, ("jax", "numpy", "torch")):
        path, before = f"{folder}/{backend}", [*found.saved.values()]
        *restored, values = run_job(backend, folder / f"{backend}-values", *(each for each, _ in before), path)
        found.restored[backend] = [*zip(restored, (expected for _, expected in before), strict=True)]
        found.saved[backend] = (path, values)
    return found


@pytest.mark.parametrize("backend", ["jax", "numpy", "torch"])
def test_every_backend_restores_checkpoints_of_others(exchange: Exchange, backend: str) -> None:
    if importlib.util.find_spec(backend) is None:  # else not even that is imported here
        require_torch()
    assert len(exchange.restored[backend]) >= 2
    for found, expected in exchange.restored[backend]:
        assert_equal(found, expected)


@pytest.mark.parametrize("built", [False, True])
def test_checkpoints_of_every_backend_are_restored_over_tensorflow(
    tf: Any, keras: Any, exchange: Exchange, built: bool
) -> None:
    for path, expected in exchange.saved.values():
        for make in (Checkpoint, tf.train.Checkpoint):
            model = keras_job.model(keras, built=built)
            status = make(model=model, optimizer=model.optimizer).read(path)
            keras_job.build(model)
            status.assert_consumed()
            assert_equal(keras_job.values(model), expected)


def test_the_objects_of_other_backends_are_those_of_tensorflow(tf: Any, exchange: Exchange) -> None:
    names = {name: {*tensors(tf, path)} for name, (path, _) in exchange.saved.items()}
    assert len(names) >= 4
    assert {name: found ^ names["theirs"] for name, found in names.items() if found != names["theirs"]} == {}


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
