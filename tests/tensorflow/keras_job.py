"""A model of Keras 3 over the backend that KERAS_BACKEND names, restored and saved; run as a program.

Arguments: a folder for the values of all variables, prefixes of checkpoints to restore, and one to save another under.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def model(keras: Any, *, built: bool = True) -> Any:
    """A model whose layers are in attributes, a tuple, lists and a dict, with statistics, and an optimizer."""

    class Listed(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
            self.inner = keras.layers.Dense(3)
            self.others = (keras.layers.Dense(3), "text")

        def call(self, inputs: Any) -> Any:
            return self.others[0](self.inner(inputs)) * self.scale

    dense, last = keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)
    made = keras.Sequential([dense, keras.layers.BatchNormalization(), Listed(), keras.layers.Dropout(0.1), last])
    made.compile(keras.optimizers.Adam(0.1), "mse")
    if built:
        build(made)
    return made


def build(made: Any) -> None:
    made(np.zeros((2, 4), np.float32))
    made.optimizer.build(made.trainable_variables)


def variables(made: Any) -> list[Any]:
    """Those that TensorFlow saves, which are all but the states of random seeds."""
    return [*made.weights, *made.optimizer.variables]


def values(made: Any) -> list[np.ndarray]:
    return [np.asarray(variable.numpy()) for variable in variables(made)]


def fill(made: Any, seed: int) -> None:
    """Give all variables values that nothing else gives them."""
    random = np.random.default_rng(seed)
    for variable in variables(made):
        is_number = variable.name == "iteration"
        variable.assign(random.integers(3, 1000) if is_number else random.normal(size=variable.shape))


def restore_late(checkpoint: Any, made: Any, path: str) -> None:
    """Restore before the model is built; where nobody says when it is, again after it."""
    checkpoint.read(path).expect_partial()
    build(made)
    checkpoint.read(path).assert_consumed()


def main(folder: str, *paths: str) -> None:
    import keras

    from cloudckpt.objects.checkpoint import Checkpoint

    for number, path in enumerate(paths):
        made = model(keras, built=number % 2 == 0)
        checkpoint = Checkpoint(model=made, optimizer=made.optimizer)
        if path == paths[-1]:
            build(made)
            fill(made, len(paths))
            checkpoint.write(path)
        elif number % 2:
            restore_late(checkpoint, made, path)
        else:
            checkpoint.read(path).assert_consumed()
        np.savez(f"{folder}/{number}.npz", *values(made))
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
