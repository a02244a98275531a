"""Relative and absolute paths in the state file, other working directories, and directories that were moved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import session_with
from tests.programs.observations import files, state

if TYPE_CHECKING:
    from pathlib import Path


def save_twice(tf: Any, prefix: str, **options: Any) -> list[str]:
    with session_with(tf, w=[1.0, 2.0]) as (session, (w,)):
        saver = tf.train.Saver(**options)
        first = saver.save(session, prefix, global_step=1)
        session.run(w.assign([3.0, 4.0]))
        return [first, saver.save(session, prefix, global_step=2)]


def restore_latest(tf: Any, directory: str) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable([0.0, 0.0], name="w")
        tf.train.Saver().restore(session, tf.train.latest_checkpoint(directory))
        return session.run(w).tolist()


@pytest.mark.parametrize("relative", [False, True])
@over_both()
def test_an_absolute_prefix(tf: Any, directory: Path, clock: Any, relative: bool) -> Any:
    returned = save_twice(tf, str(directory / "model"), save_relative_paths=relative)
    return {"returned": returned, "state": state(directory), "latest": tf.train.latest_checkpoint(str(directory))}


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("prefix", ["model", "./model", "run/model", "run/../run/model"])
@over_both()
def test_a_relative_prefix(tf: Any, directory: Path, clock: Any, relative: bool, prefix: str) -> Any:
    (directory / "run").mkdir()
    folder = os.path.dirname(prefix)
    returned = save_twice(tf, prefix, save_relative_paths=relative)
    return {
        "returned": returned,
        "files": files(directory),
        "state": state(directory / folder),
        "latest": tf.train.latest_checkpoint(folder),
        "restored": restore_latest(tf, folder),
    }


@over_both()
def test_a_relative_prefix_from_another_folder(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    (directory / "job" / "run").mkdir(parents=True)
    os.chdir(directory / "job")
    save_twice(tf, "run/model")
    os.chdir(directory)
    return {"latest": later.train.latest_checkpoint("job/run"), "restored": restore_latest(later, "job/run")}


@over_both()
def test_a_directory_that_was_moved_with_relative_paths(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    (directory / "old").mkdir()
    save_twice(tf, str(directory / "old" / "model"), save_relative_paths=True)
    (directory / "old").rename(directory / "new")
    moved = str(directory / "new")
    return {"latest": later.train.latest_checkpoint(moved), "restored": restore_latest(later, moved)}


@over_both(
    latest=Departure(
        "a path that leads nowhere is tried as its last component in the directory (P4)", None, "DIRECTORY/new/model-2"
    )
)
def test_a_directory_that_was_moved_with_absolute_paths(tf: Any, directory: Path, clock: Any) -> Any:
    (directory / "old").mkdir()
    save_twice(tf, str(directory / "old" / "model"))
    (directory / "old").rename(directory / "new")
    return {"latest": tf.train.latest_checkpoint(str(directory / "new")), "state": state(directory / "new")}
