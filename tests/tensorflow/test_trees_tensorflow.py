"""TensorFlow's and Keras's variables as leaves of trees."""

from __future__ import annotations

import uuid
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import cloudckpt as ckpt
from tests.objects.trees.equality import assert_same
from tests.tensorflow.conftest import require_tensorflow

tf = require_tensorflow()


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


VALUES = {
    "float32": np.arange(3, dtype=np.float32),
    "bfloat16": np.ones((2, 2), ml_dtypes.bfloat16),
    "scalar": np.array(5),
    "string": np.array([b"a", b"bc"], object),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_variable_is_saved_and_assigned(value: np.ndarray) -> None:
    prefix = saved({"v": tf.Variable(value)})
    assert_same(ckpt.load(prefix), {"v": value})
    variable = tf.Variable(np.zeros_like(value) if value.dtype != object else np.array([b"", b""], object))
    restored = ckpt.load(prefix, like={"v": variable})
    assert restored["v"] is variable
    assert variable.numpy().tolist() == value.tolist()


def test_a_variable_of_a_graph_is_refused_by_its_path() -> None:
    with tf.Graph().as_default():
        variable = tf.compat.v1.get_variable("v", (2,))
        with pytest.raises(TypeError, match=r"\['v'\] can't be saved: .*a variable of a TensorFlow graph"):
            saved({"v": variable})


def test_the_variables_of_a_keras_model() -> None:
    import keras

    def made() -> Any:
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    first, second = made(), made()
    prefix = saved({variable.name: variable for variable in first.variables})
    restored = ckpt.load(prefix, like={variable.name: variable for variable in second.variables})
    assert [*restored.values()] == second.variables
    x = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(second(x), first(x))
