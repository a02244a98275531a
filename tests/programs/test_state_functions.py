"""The functions of `tf.train` that read and write the state file, and look after checkpoints by their names."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import StateFileError
from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import save_once, session_with
from tests.programs.observations import files, outcome, state

if TYPE_CHECKING:
    from pathlib import Path

STATES: dict[str, dict[str, Any]] = {
    "one": {"model_checkpoint_path": "a-1"},
    "several": {"model_checkpoint_path": "a-2", "all_model_checkpoint_paths": ["a-1", "a-2"]},
    "another last": {"model_checkpoint_path": "a-3", "all_model_checkpoint_paths": ["a-1", "a-2"]},
    "absolute": {"model_checkpoint_path": "/far/a-2", "all_model_checkpoint_paths": ["/far/a-1", "/far/a-2"]},
    "under the folder": {"model_checkpoint_path": "run/a-2", "all_model_checkpoint_paths": ["run/a-1", "run/a-2"]},
    "times": {
        "model_checkpoint_path": "a-2",
        "all_model_checkpoint_paths": ["a-1", "a-2"],
        "all_model_checkpoint_timestamps": [1.5, 1e9 / 3],
        "last_preserved_timestamp": 1.25,
    },
    "too few times": {
        "model_checkpoint_path": "a-2",
        "all_model_checkpoint_paths": ["a-1", "a-2"],
        "all_model_checkpoint_timestamps": [1.5],
    },
}
TEXTS = {
    "nothing named": 'all_model_checkpoint_paths: "a"\n',
    "empty": "",
    "an empty name": 'model_checkpoint_path: ""\n',
}
UNREADABLE = {
    "no text format": "{{{",
    "cut off": 'model_checkpoint_path: "a-',
}


def fields(found: Any) -> Any:
    """The fields of a CheckpointState message."""
    return found and [
        found.model_checkpoint_path,
        list(found.all_model_checkpoint_paths),
        list(found.all_model_checkpoint_timestamps),
        found.last_preserved_timestamp,
    ]


@pytest.mark.parametrize("folder", ["", "run", "absolute"])
@pytest.mark.parametrize("given", STATES)
@over_both()
def test_update_checkpoint_state(tf: Any, later: Any, directory: Path, clock: Any, given: str, folder: str) -> Any:
    (directory / "run").mkdir()
    place = str(directory) if folder == "absolute" else folder
    # TensorFlow appends to the list that it is given.
    arguments = {name: list(value) if isinstance(value, list) else value for name, value in STATES[given].items()}
    written = outcome(lambda: tf.train.update_checkpoint_state(place, **arguments))
    text = state(directory / ("" if folder == "absolute" else folder))
    return {"written": written, "text": text, "read": fields(later.train.get_checkpoint_state(place))}


@pytest.mark.parametrize("folder", ["", "run", "/absolute"])
@pytest.mark.parametrize("given", STATES)
@over_both()
def test_generate_checkpoint_state_proto(tf: Any, directory: Path, clock: Any, given: str, folder: str) -> Any:
    arguments = {name: list(value) if isinstance(value, list) else value for name, value in STATES[given].items()}
    return {"proto": outcome(lambda: fields(tf.train.generate_checkpoint_state_proto(folder, **arguments)))}


@over_both()
def test_state_files_of_other_names(tf: Any, directory: Path, clock: Any) -> Any:
    place = str(directory)
    tf.train.update_checkpoint_state(place, str(directory / "a"), latest_filename="mine")
    return {
        "files": files(directory),
        "mine": fields(tf.train.get_checkpoint_state(place, "mine")),
        "default": tf.train.get_checkpoint_state(place),
        "none": [tf.train.get_checkpoint_state("nowhere"), tf.train.latest_checkpoint("nowhere")],
        "collision": outcome(lambda: tf.train.update_checkpoint_state(place, str(directory / "checkpoint"))),
    }


@pytest.mark.parametrize("text", TEXTS)
@over_both()
def test_a_state_file_that_names_nothing(tf: Any, directory: Path, clock: Any, text: str) -> Any:
    (directory / "checkpoint").write_text(TEXTS[text])
    return {"state": outcome(lambda: tf.train.get_checkpoint_state(str(directory)))}


@over_both()
def test_a_state_file_that_names_two(tf: Any, directory: Path, clock: Any) -> Any:
    (directory / "checkpoint").write_text('model_checkpoint_path: "a-1"\nmodel_checkpoint_path: "a-2"\n')
    return {"state": fields(tf.train.get_checkpoint_state(str(directory)))}


@over_both(
    state=Departure("a newer program's additions are no damage", None, ["DIRECTORY/a-1", [], [], 0.0]),
)
def test_a_state_file_with_a_field_that_is_not_known(tf: Any, directory: Path, clock: Any) -> Any:
    (directory / "checkpoint").write_text('model_checkpoint_path: "a-1"\nnew_field: 3\n')
    return {"state": fields(tf.train.get_checkpoint_state(str(directory)))}


@pytest.mark.parametrize("text", UNREADABLE)
@over_both(
    state=Departure("a job that takes it for none would start from scratch by mistake (P4)", None, StateFileError)
)
def test_a_state_file_that_can_not_be_read(tf: Any, directory: Path, clock: Any, text: str) -> Any:
    (directory / "checkpoint").write_text(UNREADABLE[text])
    return {"state": outcome(lambda: tf.train.get_checkpoint_state(str(directory)))}


@over_both()
def test_the_latest_checkpoint_of_several(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    for name in ("a-1", "a-2"):
        save_once(tf, directory / name, w=1.0)
    later.train.update_checkpoint_state(str(directory), str(directory / "a-1"))
    older = tf.train.latest_checkpoint(str(directory))
    later.train.update_checkpoint_state(str(directory), "a-2", ["a-1", "a-2"], latest_filename="mine")
    return {"older": older, "mine": tf.train.latest_checkpoint(str(directory), latest_filename="mine")}


@over_both(
    latest=Departure(
        "the newest whole checkpoint that the state names is better than to start from scratch (P4)",
        None,
        "DIRECTORY/a-1",
    ),
    warned=Departure("it says so", [], ["RecoveryWarning"]),
)
def test_the_latest_checkpoint_is_gone(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver()
        for step in (1, 2):
            saver.save(session, str(directory / "a"), global_step=step)
    for file in directory.glob("a-2.*"):
        file.unlink()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        latest = tf.train.latest_checkpoint(str(directory))
    return {"latest": latest, "warned": [warning.category.__name__ for warning in caught]}


@over_both()
def test_checkpoint_exists(tf: Any, directory: Path, clock: Any) -> Any:
    save_once(tf, directory / "v2", w=1.0)
    save_once(tf, directory / "v1", saver={"write_version": tf.train.SaverDef.V1}, w=1.0)
    (directory / "v2.data-00000-of-00001").unlink()
    names = ("v2", "v1", "v", "none", "none/none")
    return {name: tf.train.checkpoint_exists(str(directory / name)) for name in names}


@over_both()
def test_get_checkpoint_mtimes(tf: Any, directory: Path, clock: Any) -> Any:
    save_once(tf, directory / "v2", w=1.0)
    save_once(tf, directory / "v1", saver={"write_version": tf.train.SaverDef.V1}, w=1.0)
    sharded = save_once(tf, directory / "s", saver={"sharded": True, "write_version": tf.train.SaverDef.V1}, w=1.0)
    for number, name in enumerate(("v2.index", "v1", "s-00000-of-00001")):
        os.utime(directory / name, (1.5e9 + number,) * 2)
    prefixes = [str(directory / "v1"), str(directory / "none"), str(directory / "v2"), sharded]
    return {"mtimes": tf.train.get_checkpoint_mtimes(prefixes), "none": tf.train.get_checkpoint_mtimes([])}


@over_both()
def test_remove_checkpoint(tf: Any, directory: Path, clock: Any) -> Any:
    observed = {}
    with session_with(tf, w=1.0) as (session, _):
        for name, version in (("v1", "V1"), ("v2", "V2"), ("kept", "V2")):
            saver = tf.train.Saver(write_version=getattr(tf.train.SaverDef, version))
            saver.save(session, str(directory / name), write_state=False)
            saver.export_meta_graph(str(directory / f"{name}.graph"))
    tf.train.remove_checkpoint(str(directory / "v2"))
    observed["v2"] = files(directory)
    tf.train.remove_checkpoint(str(directory / "v1"), tf.train.SaverDef.V1, meta_graph_suffix="graph")
    observed["v1"] = files(directory)
    tf.train.remove_checkpoint(str(directory / "none"))
    tf.train.remove_checkpoint(str(directory / "kept"), checkpoint_format_version=tf.train.SaverDef.V1)
    return observed | {"as the other format": files(directory)}


@over_both()
def test_list_and_load_variables(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=[[1.0, 2.0]], b=3) as (session, _):
        prefix = tf.train.Saver().save(session, str(directory / "model"), global_step=1)
    reader = later.train.load_checkpoint(prefix)
    return {
        "listed": [[name, list(shape)] for name, shape in later.train.list_variables(str(directory))],
        "loaded": [later.train.load_variable(str(directory), "w"), later.train.load_variable(prefix, "b")],
        "read": [reader.has_tensor("w"), reader.has_tensor("v"), reader.get_tensor("b").tolist()],
        "none": outcome(lambda: later.train.load_variable(prefix, "v")),
        "no checkpoint": outcome(lambda: later.train.list_variables(str(directory / "none"))),
    }


def save_step(tf: Any, directory: Path, step: int) -> None:
    """A checkpoint as a trainer beside writes it."""
    with session_with(tf, w=1.0) as (session, _):
        tf.train.Saver().save(session, str(directory / "model"), global_step=step)


@over_both()
def test_checkpoints_iterator(tf: Any, directory: Path, clock: Any) -> Any:
    began = clock.now
    for step, seconds in ((1, 0), (2, 10), (3, 11), (4, 100)):
        clock.after(seconds, lambda step=step: save_step(tf, directory, step))
    clock.pass_seconds(0)
    found = tf.train.checkpoints_iterator(str(directory), min_interval_secs=30, timeout=100)
    seen = [[prefix, int((clock.now - began) // 60)] for prefix in found]
    return {"seen": seen, "ended after 100 more": clock.now - began >= 190}


@over_both()
def test_checkpoints_iterator_asks_when_it_times_out(tf: Any, directory: Path, clock: Any) -> Any:
    answers, asked = iter([False, False, True]), []

    def is_done() -> bool:
        asked.append(len(asked))
        return next(answers)

    clock.after(15, lambda: save_step(tf, directory, 1))
    found = list(tf.train.checkpoints_iterator(str(directory), timeout=10, timeout_fn=is_done))
    return {"found": found, "asked": asked}


@over_both()
def test_checkpoints_iterator_ends_where_nothing_comes(tf: Any, directory: Path, clock: Any) -> Any:
    return {"found": list(tf.train.checkpoints_iterator(str(directory / "none"), timeout=5))}
