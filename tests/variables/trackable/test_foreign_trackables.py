"""Objects of other frameworks in the attributes of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.variables.foreign.trackables import is_foreign_trackable, is_foreign_variable
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.recognition import is_trackable
from tests.frameworks import require_torch
from tests.tensorflow.conftest import require_tensorflow


@pytest.fixture
def tf() -> Any:
    return require_tensorflow()


@pytest.fixture
def torch() -> Any:
    return require_torch()


def kept(thing: Any) -> list[str]:
    """The names under which it is tracked, and what is found of it as a variable."""
    module = Module()
    module.thing, module.things = thing, [thing]
    assert module.thing is thing
    assert all((child is thing) == (name == "thing") for name, child in module.__children__().items())
    return [*module.__children__(), *("variable" for _ in module.variables)]


def test_of_tensorflow(tf: Any) -> None:
    assert kept(tf.Variable(1.0)) == ["thing", "things", "variable"]
    assert kept(tf.Module()) == ["thing", "things"]
    assert kept(tf.train.Checkpoint()) == ["thing", "things"]
    assert not is_trackable(tf.constant(1.0))


def test_of_keras(tf: Any) -> None:
    keras = pytest.importorskip("keras", reason="Keras 3 comes with TensorFlow")
    assert kept(keras.Variable(1.0)) == ["thing", "things", "variable"]
    for thing in (keras.layers.Dense(1), keras.optimizers.Adam(), keras.metrics.Mean()):
        assert kept(thing) == ["thing", "things"]
    assert not is_trackable(keras.initializers.Zeros())


def test_of_torch(torch: Any) -> None:
    assert kept(torch.nn.Parameter(torch.zeros(2))) == ["thing", "things", "variable"]
    assert kept(torch.nn.Linear(1, 1)) == ["thing", "things"]
    for thing in (torch.zeros(2), torch.nn.functional.relu, torch.nn.Linear):
        assert not is_trackable(thing)


def test_whether_a_parameter_is_trainable(torch: Any) -> None:
    module = Module()
    module.a, module.b = (torch.nn.Parameter(torch.zeros(1), requires_grad=trained) for trained in (True, False))
    assert len(module.trainable_variables) == len(module.non_trainable_variables) == 1
    assert module.trainable_variables[0] is module.a


@pytest.mark.parametrize("thing", [1, np.zeros(2), Module(), object(), Module])
def test_what_is_of_no_framework(thing: Any) -> None:
    assert not is_foreign_trackable(thing)
    assert not is_foreign_variable(thing)
