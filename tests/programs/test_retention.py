"""Which checkpoints a saver keeps: by number, by hours, over restarts, and beside another saver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import session_with
from tests.programs.observations import files, outcome, state

if TYPE_CHECKING:
    from pathlib import Path


def kept(directory: Path) -> list[str]:
    """The prefixes that have an index."""
    return [name.removesuffix(".index") for name in files(directory, "*.index")]


@pytest.mark.parametrize(
    "limit", [{}, {"max_to_keep": None}, {"max_to_keep": 0}, {"max_to_keep": 1}, {"max_to_keep": 3}]
)
@over_both()
def test_max_to_keep(tf: Any, directory: Path, clock: Any, limit: Any) -> Any:
    observed = {}
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(**limit)
        for step in range(7):
            clock.pass_hours(1)
            saver.save(session, str(directory / "model"), global_step=step)
            observed[f"after {step}"] = [saver.last_checkpoints, files(directory), state(directory)]
    return observed


@pytest.mark.parametrize("hours", [0.5, 1, 2, 3.7, 10_000])
@pytest.mark.parametrize("pace", [0.3, 1, 2.5])
@over_both()
def test_keep_checkpoint_every_n_hours(tf: Any, directory: Path, clock: Any, hours: float, pace: float) -> Any:
    observed = {}
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=2, keep_checkpoint_every_n_hours=hours)
        for step in range(12):
            clock.pass_hours(pace)
            saver.save(session, str(directory / "model"), global_step=step, write_meta_graph=False)
            observed[f"after {step}"] = [saver.last_checkpoints, kept(directory)]
    return observed


@over_both()
def test_the_hours_begin_when_the_saver_is_built(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=1, keep_checkpoint_every_n_hours=2, defer_build=True)
        clock.pass_hours(5)
        saver.build()
        for step in range(5):
            clock.pass_hours(0.9)
            saver.save(session, str(directory / "model"), global_step=step, write_meta_graph=False)
    return {"kept": kept(directory)}


@over_both(
    files=Departure(
        "replacing a prefix takes data files of new names (P3)",
        [
            "checkpoint",
            *(f"model-{step}.{ending}" for step in (1, 2) for ending in ("data-00000-of-00001", "index", "meta")),
        ],
        lambda found: (
            [re.sub(r"\d{5}-of-\d{5}", "?", name) for name in found]
            == ["checkpoint", *(f"model-{step}.{ending}" for step in (1, 2) for ending in ("data-?", "index", "meta"))]
        ),
    )
)
def test_a_step_that_is_saved_again_becomes_the_newest(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=2)
        returned = [saver.save(session, str(directory / "model"), global_step=step) for step in (1, 2, 1)]
        last = saver.last_checkpoints
        tf.train.Saver().restore(session, returned[-1])
    return {"returned": returned, "last": last, "state": state(directory), "files": files(directory)}


@over_both()
def test_without_write_state_nothing_is_counted_or_deleted(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=1)
        saver.save(session, str(directory / "model"), global_step=1)
        for step in range(2, 5):
            saver.save(session, str(directory / "model"), global_step=step, write_state=False)
        last = saver.last_checkpoints
        before = files(directory)
        saver.save(session, str(directory / "model"), global_step=5)
    return {"last": last, "before": before, "files": files(directory), "state": state(directory)}


@over_both()
def test_a_suffix_of_its_own_is_deleted_with_the_checkpoint(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=1)
        for step in range(3):
            saver.save(session, str(directory / "model"), global_step=step, meta_graph_suffix="graph")
        own = files(directory)
        saver.save(session, str(directory / "model"), global_step=3)  # deletes as its own suffix says
    return {"own": own, "files": files(directory)}


@over_both()
def test_v1_files_are_deleted_whole(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=2, write_version=tf.train.SaverDef.V1)
        for step in range(4):
            saver.save(session, str(directory / "model"), global_step=step)
    return {"files": files(directory), "state": state(directory)}


@over_both()
def test_a_checkpoint_deleted_by_hand_is_no_error(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=2)
        for step in range(2):
            saver.save(session, str(directory / "model"), global_step=step)
        for file in directory.glob("model-0.*"):
            file.unlink()
        returned = saver.save(session, str(directory / "model"), global_step=2)
    return {"returned": returned, "last": saver.last_checkpoints, "files": files(directory)}


@over_both()
def test_a_restart_that_recovers_its_list_goes_on_deleting(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    run(tf, directory, range(4), max_to_keep=3)
    with session_with(later, w=1.0) as (session, _):
        saver = later.train.Saver(max_to_keep=3)
        found = later.train.get_checkpoint_state(str(directory))
        paths = list(found.all_model_checkpoint_paths)
        saver.recover_last_checkpoints(paths)
        recovered = saver.last_checkpoints
        saver.restore(session, found.model_checkpoint_path)
        for step in (4, 5):
            saver.save(session, str(directory / "model"), global_step=step)
    return {"paths": paths, "recovered": recovered, "files": files(directory), "state": state(directory)}


@over_both()
def test_a_restart_that_does_not_recover_forgets_the_older_ones(
    tf: Any, later: Any, directory: Path, clock: Any
) -> Any:
    run(tf, directory, range(4), max_to_keep=3)
    run(later, directory, range(4, 8), max_to_keep=3)
    return {"files": files(directory), "state": state(directory)}


def run(tf: Any, directory: Path, steps: range, **options: Any) -> None:
    """One run of a job, from its own saver on."""
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(**options)
        for step in steps:
            saver.save(session, str(directory / "model"), global_step=step)


@over_both()
def test_recovered_times_are_those_of_the_files(tf: Any, directory: Path, clock: Any) -> Any:
    """A checkpoint as old as its files is deleted, however late it is recovered."""
    run(tf, directory, range(3))
    clock.pass_hours(100)
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=3, keep_checkpoint_every_n_hours=0.001)
        clock.pass_hours(1)
        saver.recover_last_checkpoints([str(directory / f"model-{step}") for step in (0, 7, 1, 2)])
        recovered = saver.last_checkpoints
        for step in range(3, 8):
            saver.save(session, str(directory / "model"), global_step=step)
    return {"recovered": recovered, "kept": kept(directory)}


@over_both()
def test_set_last_checkpoints_gives_them_no_end(tf: Any, directory: Path, clock: Any) -> Any:
    run(tf, directory, range(3))
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=2)
        saver.set_last_checkpoints([str(directory / f"model-{step}") for step in range(3)])
        listed = saver.last_checkpoints
        for step in range(3, 9):
            saver.save(session, str(directory / "model"), global_step=step)
    return {"listed": listed, "last": saver.last_checkpoints, "kept": kept(directory), "state": state(directory)}


@over_both()
def test_set_last_checkpoints_with_time(tf: Any, directory: Path, clock: Any) -> Any:
    run(tf, directory, range(3))
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(max_to_keep=2, keep_checkpoint_every_n_hours=2)
        times = (clock.now - 7200, clock.now + 3600, clock.now + 9000)
        saver.set_last_checkpoints_with_time([(str(directory / f"model-{i}"), at) for i, at in enumerate(times)])
        listed = saver.last_checkpoints
        for step in range(3, 6):
            saver.save(session, str(directory / "model"), global_step=step)
    return {"listed": listed, "last": saver.last_checkpoints, "kept": kept(directory)}


@over_both()
def test_lists_of_last_checkpoints_must_be_lists(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0):
        saver = tf.train.Saver()
        return {
            "names": [outcome(lambda given=given: saver.set_last_checkpoints(given)) for given in (("a",), "a", None)],
            "times": outcome(lambda: saver.set_last_checkpoints_with_time((("a", 1.0),))),
        }


@over_both()
def test_two_savers_with_state_files_of_their_own(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0, b=2.0) as (session, (w, _)):
        everything = tf.train.Saver(max_to_keep=2)
        weights = tf.train.Saver({"weights": w}, max_to_keep=1)
        for step in range(4):
            everything.save(session, str(directory / "all"), global_step=step)
            weights.save(session, str(directory / "weights"), global_step=step, latest_filename="weights_state")
        named = tf.train.list_variables(tf.train.latest_checkpoint(str(directory), latest_filename="weights_state"))
    return {
        "files": files(directory),
        "states": [state(directory), state(directory, "weights_state")],
        "latest": tf.train.latest_checkpoint(str(directory)),
        "named": [[name, list(shape)] for name, shape in named],
    }


@over_both()
def test_two_savers_with_one_state_file(tf: Any, directory: Path, clock: Any) -> Any:
    observed = {}
    with session_with(tf, w=1.0) as (session, _):
        savers = [tf.train.Saver(max_to_keep=2), tf.train.Saver(max_to_keep=2)]
        for step in range(6):
            savers[step % 2].save(session, str(directory / "model"), global_step=step)
            observed[f"after {step}"] = [saver.last_checkpoints for saver in savers] + [state(directory)]
    return observed | {"files": files(directory)}
