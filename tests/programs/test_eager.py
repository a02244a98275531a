"""Savers without a graph, as `tf.contrib.eager.Saver` was: TensorFlow's own saver does its work in eager mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.programs.comparison import over_both
from tests.programs.observations import files, outcome, state, stored

if TYPE_CHECKING:
    from pathlib import Path


@over_both()
def test_a_saver_without_a_graph(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    w, b = tf.Variable([1.0, 2.0], name="w"), tf.Variable(3, name="b")
    saver = tf.train.Saver([w, b], max_to_keep=2)
    returned = [saver.save(None, str(directory / "model"), global_step=step) for step in range(4)]
    w2, b2 = later.Variable([0.0, 0.0], name="w"), later.Variable(0, name="b")
    later.train.Saver({"w": w2, "b": b2}).restore(None, later.train.latest_checkpoint(str(directory)))
    return {
        "returned": returned,
        "restored": [np.asarray(w2.numpy()).tolist(), np.asarray(b2.numpy()).tolist()],
        "files": files(directory, "*model*"),
        "state": state(directory),
        "stored": stored(later, returned[-1]),
    }


@over_both()
def test_a_step_that_is_a_variable(tf: Any, directory: Path, clock: Any) -> Any:
    w, step = tf.Variable(1.0, name="w"), tf.Variable(7, name="step")
    saver = tf.train.Saver([w])
    returned = [saver.save(None, str(directory / "model"), global_step=given) for given in (step, 8)]
    step.assign_add(10)
    returned.append(saver.save(None, str(directory / "model"), global_step=step))
    return {"returned": returned, "files": files(directory)}


@over_both()
def test_refusals_without_a_graph(tf: Any, directory: Path, clock: Any) -> Any:
    w, same = tf.Variable(1.0, name="w"), tf.Variable(2.0, name="w")
    saver = tf.train.Saver([w])
    return {
        "no list": outcome(tf.train.Saver),
        "one name twice": outcome(lambda: tf.train.Saver([w, same]).save(None, str(directory / "model"))),
        "no checkpoint": outcome(lambda: saver.restore(None, str(directory / "none"))),
        "none": outcome(lambda: saver.restore(None, None)),
        "build": outcome(saver.build),
        "nothing": outcome(lambda: tf.train.Saver([]).save(None, str(directory / "model"))),
        "files": files(directory),
    }
