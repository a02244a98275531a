"""The names of checkpoints: the step behind the prefix, its padding, and what `save` returns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.errors import StorageError
from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import session_with
from tests.programs.observations import files, outcome, state

if TYPE_CHECKING:
    from pathlib import Path

STEPS = {"zero": 0, "int": 7, "large": 123456789012, "negative": -3, "numpy": np.int64(8), "numpy32": np.int32(9)}


@over_both()
def test_a_step_that_is_an_integer(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=None)
        prefix = str(directory / "model")
        returned = {name: saver.save(session, prefix, global_step=step) for name, step in STEPS.items()}
    return {"returned": returned, "files": files(directory), "state": state(directory)}


@over_both()
def test_a_step_that_is_a_variable_a_tensor_or_its_name(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0, step=41) as (session, (_, step)):
        saver = tf.train.Saver()
        prefix = str(directory / "model")
        one_more, returned = step.assign_add(1), []
        for given in (step, step.value(), "step:0"):
            returned.append(saver.save(session, prefix, global_step=given))
            session.run(one_more)
        last = saver.last_checkpoints
    return {"returned": returned, "last": last, "files": files(directory)}


@over_both()
def test_the_global_step_of_the_graph(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        same = [tf.train.get_global_step() is step, tf.train.get_or_create_global_step() is step]
        session.run(tf.global_variables_initializer())
        session.run(step.assign_add(12))
        saver = tf.train.Saver()
        returned = saver.save(session, str(directory / "model"), global_step=step)
        value = tf.train.global_step(session, step)
    return {"same": same, "returned": returned, "value": value, "stored": tf.train.list_variables(returned)}


@over_both()
def test_a_step_that_is_none(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver()
        save = lambda step: saver.save(session, str(directory / "model"), global_step=step)  # noqa: E731
        refused = [outcome(lambda step=step: save(step)) for step in (3.5, [1], object())]
        unknown = outcome(lambda: save("nothing:0"))
    return {"refused": refused, "unknown": unknown, "files": files(directory)}


@over_both()
def test_padding(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(pad_step_number=True, max_to_keep=2)
        prefix = str(directory / "model")
        returned = [saver.save(session, prefix, global_step=step) for step in (5, 123456789, -5)]
        returned.append(saver.save(session, prefix))
    return {"returned": returned, "files": files(directory), "state": state(directory)}


@over_both()
def test_prefixes_of_all_forms(tf: Any, directory: Path, clock: Any) -> Any:
    names = ["plain", "with.dots", "with space", "ends-with-7", "x.ckpt", "日本", "under/folder"]
    (directory / "under").mkdir()
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=None)
        returned = [saver.save(session, str(directory / name)) for name in names]
        returned.append(saver.save(session, os.fsencode(directory / "bytes"), global_step=1))
        returned.append(saver.save(session, str(directory) + "/", global_step=1))
        for prefix in returned:
            saver.restore(session, prefix)
    return {"returned": returned, "files": files(directory), "state": state(directory)}


@pytest.mark.parametrize("version", ["V1", "V2"])
@over_both(
    outcome=Departure("folders are made, as buckets have none", ValueError, "DIRECTORY/none/within/model"),
    files=Departure("folders are made, as buckets have none", [], lambda found: "none/within/checkpoint" in found),
)
def test_a_folder_that_is_not_there(tf: Any, directory: Path, clock: Any, version: str) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(write_version=getattr(tf.train.SaverDef, version))
        saved = outcome(lambda: saver.save(session, str(directory / "none" / "within" / "model")))
    return {"outcome": saved, "files": files(directory)}


@over_both(outcome=Departure("a StorageError names the file that is in the way", ValueError, StorageError))
def test_a_file_in_place_of_the_folder(tf: Any, directory: Path, clock: Any) -> Any:
    (directory / "file").write_text("not a folder")
    with session_with(tf, w=1.0) as (session, _):
        saved = outcome(lambda: tf.train.Saver().save(session, str(directory / "file" / "model")))
    return {"outcome": saved, "files": files(directory)}


@over_both()
def test_collisions_of_the_state_file_with_the_checkpoint(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver()
        observed = {
            "default": outcome(lambda: saver.save(session, str(directory / "checkpoint"))),
            "given": outcome(lambda: saver.save(session, str(directory / "model"), latest_filename="model")),
            "folder": outcome(lambda: saver.save(session, str(directory / "model"), latest_filename="sub/state")),
            "nothing written": files(directory),
            "with a step": outcome(lambda: saver.save(session, str(directory / "checkpoint"), global_step=3)),
        }
    return observed | {"files": files(directory), "state": state(directory)}


@over_both()
def test_the_file_that_the_graph_names(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(filename="elsewhere")
        named = session.run("save/filename/input:0")
        returned = saver.save(session, str(directory / "model"))
    return {"named": named, "returned": returned, "files": files(directory)}
