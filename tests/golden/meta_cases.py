"""Graphs with savers, written once against `tensorflow.compat.v1` and what has its names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "meta"
V1 = 1
STEP = 12


def plain(tf: Any) -> None:
    """Two variables, one in a scope, and one that is not trained."""
    with tf.name_scope("layer"):
        tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="w")
    tf.Variable(np.array([b"a", b"\xff\0"], object), name="words", trainable=False)


def two_devices(tf: Any) -> None:
    """One variable on each of two devices, and one on no device."""
    for number in range(2):
        with tf.device(f"/cpu:{number}"):
            tf.Variable(np.full((2, 2), number, np.float64), name=f"on_{number}")
    tf.Variable(np.int64(7), name="step", trainable=False)


def partitioned(tf: Any) -> None:
    """A matrix of five rows in two parts."""
    tf.get_variable("table", (5, 2), initializer=halves, partitioner=tf.fixed_size_partitioner(2))


def halves(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
    return np.full(shape, 0.5, np.float32)


def collections(tf: Any) -> None:
    """Values of each kind that a graph's collections keep."""
    variable = tf.Variable(np.float32(1.5), name="w")
    for key, value in (("texts", "text"), ("numbers", 3), ("fractions", 0.25), ("operations", variable.op)):
        tf.add_to_collection(key, value)


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (plain, {}),
    "reshape": (plain, {"reshape": True}),
    "v1": (plain, {"write_version": V1}),
    "named": (plain, {"name": "mine", "filename": "there/model", "max_to_keep": 2}),
    "sharded": (two_devices, {"sharded": True}),
    "sharded_v1": (two_devices, {"sharded": True, "write_version": V1}),
    "unsharded": (two_devices, {}),
    "partitioned": (partitioned, {}),
    "collections": (collections, {}),
}
"""What builds a graph, and the arguments of its saver."""


def make(tf: Any, case: str) -> tuple[Any, Any]:
    """Build the graph in the default one; gives its saver, and what initializes the variables."""
    build, options = CASES[case]
    build(tf)
    return tf.train.Saver(**options), tf.global_variables_initializer()
