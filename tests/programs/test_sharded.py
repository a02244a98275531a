"""A shard a device, in both formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import on_two_devices, restored
from tests.programs.observations import files, outcome, state, stored

if TYPE_CHECKING:
    from pathlib import Path

UNSAFE = "replacing a sharded V1 checkpoint would mix two of them in a crash (P1)"


def variables_on_devices(tf: Any) -> list[Any]:
    """Four variables over two devices and none, in no order of devices."""
    with tf.device("/cpu:1"):
        a = tf.Variable([1.0, 2.0], name="a")
    with tf.device("/cpu:0"):
        b = tf.Variable(3, name="b")
    with tf.device("/device:CPU:1"):
        c = tf.Variable([[4.0]], name="c")
    return [a, b, c, tf.Variable(5.0, name="d")]


def save(tf: Any, prefix: str, **options: Any) -> str:
    """One sharded save of a graph of its own."""
    version = getattr(tf.train.SaverDef, options.pop("version", "V2"))
    with tf.Graph().as_default():
        variables_on_devices(tf)
        with on_two_devices(tf) as session:
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver(sharded=True, write_version=version, **options)
            return saver.save(session, prefix, global_step=1, write_meta_graph=True)


@pytest.mark.parametrize("version", ["V1", "V2"])
@over_both()
def test_a_sharded_save(tf: Any, directory: Path, clock: Any, version: str) -> Any:
    returned = save(tf, str(directory / "model"), version=version)
    return {
        "returned": returned,
        "files": files(directory),
        "state": state(directory),
        "latest": tf.train.latest_checkpoint(str(directory)),
        "exists": [tf.train.checkpoint_exists(returned), tf.train.checkpoint_exists(str(directory / "model-1"))],
        "stored": stored(tf, returned),
    }


@pytest.mark.parametrize("version", ["V1", "V2"])
@over_both()
def test_a_sharded_save_restored_by_savers_of_all_kinds(
    tf: Any, later: Any, directory: Path, clock: Any, version: str
) -> Any:
    prefix = save(tf, str(directory / "model"), version=version)
    observed = {"whole": restored(later, prefix, a=[0.0, 0.0], b=0, c=[[0.0]], d=0.0)}
    for name, options in {"sharded": {}, "V1": {"write_version": later.train.SaverDef.V1}}.items():
        with later.Graph().as_default():
            variables = variables_on_devices(later)
            with on_two_devices(later) as session:
                later.train.Saver(sharded=True, **options).restore(session, prefix)
                observed[name] = [session.run(variable).tolist() for variable in variables]
    return observed


@over_both()
def test_one_shard_is_a_shard_too(tf: Any, directory: Path, clock: Any) -> Any:
    returned = {}
    for version in ("V1", "V2"):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.Variable(1.0, name="w")
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver(sharded=True, write_version=getattr(tf.train.SaverDef, version))
            returned[version] = saver.save(session, str(directory / version))
    return {"returned": returned, "files": files(directory)}


@pytest.mark.parametrize("version", ["V1", "V2"])
@over_both()
def test_retention_deletes_all_shards(tf: Any, directory: Path, clock: Any, version: str) -> Any:
    with tf.Graph().as_default():
        variables_on_devices(tf)
        with on_two_devices(tf) as session:
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver(sharded=True, max_to_keep=2, write_version=getattr(tf.train.SaverDef, version))
            for step in range(4):
                saver.save(session, str(directory / "model"), global_step=step)
            last = saver.last_checkpoints
    return {"last": last, "files": files(directory), "state": state(directory)}


@over_both(
    again=Departure(UNSAFE, "DIRECTORY/model-1-?????-of-00003", NotImplementedError),
)
def test_a_sharded_v1_save_over_another(tf: Any, directory: Path, clock: Any) -> Any:
    save(tf, str(directory / "model"), version="V1")
    again = outcome(lambda: save(tf, str(directory / "model"), version="V1"))
    pattern = str(directory / "model-1-?????-of-00003")
    return {"again": again, "whole": restored(tf, pattern, a=[0.0, 0.0], b=0, c=[[0.0]], d=0.0)}


@over_both(
    files=Departure(
        "replacing a prefix takes data files of new names (P3)",
        lambda found: sum("-of-00003" in name for name in found) == 3,
        lambda found: len(found) == 6 and not any("-of-00003" in name for name in found),
    )
)
def test_a_sharded_v2_save_over_another(tf: Any, directory: Path, clock: Any) -> Any:
    for _ in range(2):
        prefix = save(tf, str(directory / "model"))
    return {"files": files(directory), "stored": stored(tf, prefix)}


@over_both(
    v2=Departure("the collision is found before anything is written", RuntimeError, ValueError),
    written=Departure("the collision is found before anything is written", lambda found: len(found) == 4, []),
)
def test_a_sharded_save_named_as_the_state_file(tf: Any, directory: Path, clock: Any) -> Any:
    """The files of a sharded V1 checkpoint have other names; those of a V2 checkpoint have not its own."""
    with tf.Graph().as_default():
        variables_on_devices(tf)
        with on_two_devices(tf) as session:
            session.run(tf.global_variables_initializer())
            v2 = outcome(lambda: tf.train.Saver(sharded=True).save(session, str(directory / "checkpoint")))
            written = files(directory, "checkpoint*")
            saver = tf.train.Saver(sharded=True, write_version=tf.train.SaverDef.V1)
            v1 = outcome(lambda: saver.save(session, str(directory / "checkpoint")))
    return {"v2": v2, "written": written, "v1": v1, "state": state(directory)}
