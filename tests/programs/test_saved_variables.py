"""What `var_list` may be, what it may not, and savers that are built later, empty, or of part of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import restored, save_once, session_with
from tests.programs.observations import files, outcome, state, stored, values

if TYPE_CHECKING:
    from pathlib import Path


def choices(w: Any, b: Any) -> dict[str, Any]:
    """What may be given as `var_list`."""
    return {
        "all by default": None,
        "a list": [w],
        "a tuple": (b, w),
        "a set": {w},
        "a dict": {"weights": w, "scope/bias": b},
        "a dict of their own names": {"w": w, "b": b},
    }


def wrong_choices(w: Any, b: Any) -> dict[str, Any]:
    """What may not."""
    return {
        "a variable": w,
        "a generator": (v for v in [w]),
        "a string": "w",
        "a number": 1,
        "an object in a dict": {"w": object()},
        "a number for a name": {1: w},
        "no name": {None: w},
        "a variable twice in a list": [w, w],
        "a variable by two names": {"one": w, "two": w},
        "whole variables as slices": {"w": [w, b]},
        "nothing in a list": [],
        "nothing in a dict": {},
        "nothing in a name": {"w": []},
    }


@pytest.mark.parametrize("choice", choices(1, 2))
@over_both()
def test_what_is_saved(tf: Any, directory: Path, clock: Any, choice: str) -> Any:
    with session_with(tf, w=[1.0, 2.0], b=3) as (session, (w, b)):
        saver = tf.train.Saver(choices(w, b)[choice])
        returned = saver.save(session, str(directory / "model"))
        held = stored(tf, returned)
        session.run([w.assign([0.0, 0.0]), b.assign(0)])
        saver.restore(session, returned)
        return {"stored": held, "restored": values(session, w, b), "files": files(directory)}


@pytest.mark.parametrize("choice", wrong_choices(1, 2))
@over_both()
def test_what_is_not_saveable(tf: Any, directory: Path, clock: Any, choice: str) -> Any:
    with session_with(tf, w=[1.0, 2.0], b=3.0) as (_, (w, b)):
        return {"refused": outcome(lambda: tf.train.Saver(wrong_choices(w, b)[choice]))}


@pytest.mark.parametrize("item", [1, "w", b"w", 1.5])
@over_both(refused=Departure("a TypeError says what it is, as the page promises", AttributeError, TypeError))
def test_what_is_not_saveable_in_a_list(tf: Any, directory: Path, clock: Any, item: Any) -> Any:
    with session_with(tf, w=1.0) as (_, (w,)):
        return {"refused": outcome(lambda: tf.train.Saver([w, item]))}


@over_both()
def test_a_variable_saved_under_another_name_is_restored_by_it(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.5) as (session, (w,)):
        prefix = tf.train.Saver({"model/weight": w}).save(session, str(directory / "model"))
    with session_with(later, anything=0.0, other=7.0) as (session, (anything, other)):
        later.train.Saver({"model/weight": anything}).restore(session, prefix)
        return {"restored": values(session, anything, other)}


@over_both()
def test_dtypes_and_shapes_of_all_kinds(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    initial = {
        name: np.array([[0, 1, 1]], name)
        for name in ("bool", "int8", "uint8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64")
    }
    initial |= {
        "complex64": np.array(1 + 2j, np.complex64),
        "complex128": np.array([3 - 1j]),
        "empty": np.zeros((0, 3)),
    }
    with session_with(tf, **initial, text=["a", "", "日本"]) as (session, _):
        prefix = tf.train.Saver().save(session, str(directory / "model"))
    blank = {name: np.zeros_like(value) for name, value in initial.items()}
    with later.Graph().as_default(), later.Session() as session:
        variables = [later.Variable(value, name=name) for name, value in blank.items()]
        text = later.Variable(["", "", ""], name="text")
        later.train.Saver().restore(session, prefix)
        found = [np.asarray(session.run(variable)) for variable in variables]
        words = [bytes(word).decode() for word in np.asarray(session.run(text)).ravel()]
    return {
        "same": [
            value.tobytes() == np.asarray(initial[name]).tobytes() for name, value in zip(initial, found, strict=True)
        ],
        "dtypes": [str(value.dtype) for value in found],
        "shapes": [value.shape for value in found],
        "text": words,
    }


@over_both()
def test_an_empty_graph(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        refused = [outcome(lambda given=given: tf.train.Saver(given)) for given in (None, [], {})]
        saver = tf.train.Saver(allow_empty=True)
        saved = saver.save(session, str(directory / "model"), global_step=1)
        observed = {"refused": refused, "saved": saved, "last": saver.last_checkpoints}
        observed |= {"restored": [saver.restore(session, path) for path in (None, "nothing")]}
        observed |= {
            "def": outcome(saver.as_saver_def),
            "list": tf.train.Saver([], allow_empty=True).save(session, "x"),
        }
    return observed | {"files": files(directory), "state": state(directory)}


@over_both()
def test_a_saver_that_is_built_later(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(1.0, name="w")
        early, late = tf.train.Saver(), tf.train.Saver(defer_build=True)
        tf.Variable(2.0, name="b")
        session.run(tf.global_variables_initializer())
        too_soon = outcome(lambda: late.save(session, str(directory / "late")))
        late.build()
        late.build()
        prefixes = [saver.save(session, str(directory / name)) for name, saver in (("early", early), ("late", late))]
        return {
            "built": [op.name for op in tf.get_default_graph().get_operations() if op.type == "SaveV2"],
            "with a list": outcome(lambda: tf.train.Saver([w], defer_build=True)),
            "with nothing": outcome(lambda: tf.train.Saver([], defer_build=True).build()),
            "too soon": too_soon,
            "stored": [stored(tf, prefix) for prefix in prefixes],
            "files": files(directory),
        }


@over_both()
def test_a_saver_in_a_finalized_graph(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        built, deferred = tf.train.Saver(), tf.train.Saver(defer_build=True)
        tf.get_default_graph().finalize()
        return {
            "build": outcome(deferred.build),
            "new": outcome(tf.train.Saver),
            "built": built.save(session, str(directory / "model")),
            "files": files(directory),
        }


@over_both()
def test_collections_say_what_is_saved_by_default(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.Variable(1.0, name="trained")
        tf.Variable(2.0, name="fixed", trainable=False)
        tf.Variable(3.0, name="local", collections=[tf.GraphKeys.LOCAL_VARIABLES])
        own = tf.Variable(4.0, name="own", collections=["mine"])
        tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, own)
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer(), own.initializer])
        prefix = tf.train.Saver().save(session, str(directory / "model"))
        names = [variable.op.name for variable in tf.trainable_variables()]
    return {"stored": stored(tf, prefix), "trainable": names}


@over_both()
def test_names_are_unique_in_scopes(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        made = [tf.Variable(1.0, name="w"), tf.Variable(2.0, name="w"), tf.Variable(3.0)]
        with tf.name_scope("scope"):
            made.append(tf.Variable(4.0, name="w"))
        with tf.name_scope("scope"):
            made.append(tf.Variable(5.0, name="w"))
        with tf.variable_scope("layer"):
            made.append(tf.get_variable("w", shape=[2], initializer=tf.zeros_initializer()))
        with tf.variable_scope("layer", reuse=True):
            same = tf.get_variable("w", shape=[2]) is made[-1]
        refused = outcome(lambda: tf.get_variable("layer/w", shape=[2]))
        session.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(session, str(directory / "model"))
    return {"names": [v.name for v in made], "same": same, "refused": refused, "stored": stored(tf, prefix)}


@over_both()
def test_what_is_no_session(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0):
        saver, prefix = tf.train.Saver(), str(directory / "model")
        tried = [outcome(lambda given=given: saver.save(given, prefix)) for given in ("", 1, object())]
    return {"tried": tried, "files": files(directory)}


@over_both()
def test_a_variable_without_a_value(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.Variable(1.0, name="w")
        saver = tf.train.Saver()
        saved = outcome(lambda: saver.save(session, str(directory / "model")))
    return {"saved": saved, "files": files(directory), "state": state(directory)}


@over_both()
def test_sequential_restores(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    save_once(tf, directory / "model", a=[1.0], b=[[2, 3]], c=4.0)
    return {
        "restored": restored(
            later, directory / "model", saver={"restore_sequentially": True}, a=[0.0], b=[[0, 0]], c=0.0
        )
    }


@over_both()
def test_without_a_graph_a_list_is_needed(tf: Any, directory: Path, clock: Any) -> Any:
    return {"refused": outcome(tf.train.Saver), "executing eagerly": tf.executing_eagerly()}
