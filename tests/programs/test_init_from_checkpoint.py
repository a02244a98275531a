"""Variables whose first values come from a checkpoint of another model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.programs.comparison import over_both
from tests.programs.graphs import save_once, session_with
from tests.programs.observations import outcome, values

if TYPE_CHECKING:
    from pathlib import Path


def assignment_maps(w: Any, b: Any) -> dict[str, Any]:
    """What may be mapped to what."""
    return {
        "everything": {"/": "new/"},
        "a scope into a scope": {"old/": "new/"},
        "everything into all": {"/": "/"},
        "a name to a variable": {"old/w": w},
        "a name to a name": {"old/w": "new/w", "old/b": "new/b"},
    }


def wrong_maps(w: Any, b: Any) -> dict[str, Any]:
    """What may not."""
    return {
        "a tensor that is not there": {"none": w},
        "a variable that is not there": {"old/w": "new/none"},
        "another shape": {"old/w": b},
        "a scope that is not there": {"none/": "new/"},
        "a scope without variables": {"old/": "none/"},
        "a scope to a variable": {"old/": w},
        "no variable": {"old/w": 1},
    }


def save_old(tf: Any, directory: Path) -> str:
    """A checkpoint with `old/w` and `old/b`."""
    with session_with(tf, w=[1.0, 2.0], b=3.0) as (session, (w, b)):
        return tf.train.Saver({"old/w": w, "old/b": b}).save(session, str(directory / "model"), global_step=1)


def new_variables(tf: Any) -> list[Any]:
    with tf.variable_scope("new"):
        return [
            tf.get_variable("w", shape=[2], initializer=tf.zeros_initializer()),
            tf.get_variable("b", shape=[], initializer=tf.zeros_initializer()),
        ]


@pytest.mark.parametrize("choice", assignment_maps(1, 2))
@pytest.mark.parametrize("place", ["prefix", "directory"])
@over_both()
def test_assignment_maps(tf: Any, later: Any, directory: Path, clock: Any, choice: str, place: str) -> Any:
    prefix = save_old(tf, directory)
    with later.Graph().as_default(), later.Session() as session:
        w, b = new_variables(later)
        mapped = outcome(
            lambda: later.train.init_from_checkpoint(
                prefix if place == "prefix" else str(directory), assignment_maps(w, b)[choice]
            )
        )
        session.run(later.global_variables_initializer())
        return {"mapped": mapped, "values": values(session, w, b)}


@over_both()
def test_the_root_of_a_checkpoint_into_a_scope(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    save_once(tf, directory / "model", w=[1.0, 2.0], b=3.0, more=4)
    with later.Graph().as_default(), later.Session() as session:
        w, b = new_variables(later)
        later.train.init_from_checkpoint(str(directory / "model"), {"/": "new/"})
        session.run(later.global_variables_initializer())
        return {"values": values(session, w, b)}


@pytest.mark.parametrize("choice", wrong_maps(1, 2))
@over_both()
def test_assignment_maps_that_can_not_be(tf: Any, directory: Path, clock: Any, choice: str) -> Any:
    prefix = save_old(tf, directory)
    with tf.Graph().as_default():
        w, b = new_variables(tf)
        return {"raised": outcome(lambda: tf.train.init_from_checkpoint(prefix, wrong_maps(w, b)[choice]))}


@over_both()
def test_partitioned_variables_get_their_parts(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    prefix = save_old(tf, directory)
    with later.Graph().as_default(), later.Session() as session:
        with later.variable_scope("new", partitioner=later.fixed_size_partitioner(2)):
            w = later.get_variable("w", shape=[2], initializer=later.zeros_initializer())
        later.train.init_from_checkpoint(prefix, {"old/w": list(w)})
        session.run(later.global_variables_initializer())
        named = values(session, *w)
        later.train.init_from_checkpoint(prefix, {"old/w": "new/w"})
        session.run([part.assign([0.0]) for part in w])
        session.run(later.global_variables_initializer())
        return {"by list": named, "by name": values(session, *w)}


@over_both()
def test_no_checkpoint_to_begin_with(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default():
        w, _ = new_variables(tf)
        return {"raised": outcome(lambda: tf.train.init_from_checkpoint(str(directory), {"w": w}))}
