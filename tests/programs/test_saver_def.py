"""What a saver is as a SaverDef, and several savers in one graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.programs.comparison import over_both
from tests.programs.graphs import session_with
from tests.programs.observations import files, outcome, state, stored, values

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "all kept": {"max_to_keep": None},
    "limits": {"max_to_keep": 7, "keep_checkpoint_every_n_hours": 0.25},
    "sharded": {"sharded": True},
    "named": {"name": "backup"},
    "in scopes": {"name": "outer/inner"},
}


@pytest.mark.parametrize("options", OPTIONS)
@over_both()
def test_as_saver_def(tf: Any, directory: Path, clock: Any, options: str) -> Any:
    with session_with(tf, w=1.0):
        saver = tf.train.Saver(**OPTIONS[options])
        return {
            "def": str(saver.as_saver_def()),
            "proto": str(saver.to_proto()),
            "V1": str(tf.train.Saver(write_version=tf.train.SaverDef.V1).as_saver_def()),
            "names": [op.name for op in tf.get_default_graph().get_operations() if op.type in {"SaveV2", "SaveSlices"}],
        }


@over_both()
def test_a_saver_from_its_saver_def(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0, b=2.0) as (session, (w, b)):
        original = tf.train.Saver({"weight": w}, max_to_keep=2)
        savers = [tf.train.Saver(saver_def=original.as_saver_def()), tf.train.Saver.from_proto(original.to_proto())]
        observed = {}
        for number, saver in enumerate(savers):
            for step in range(3):
                prefix = saver.save(session, str(directory / f"saver{number}"), global_step=step)
            session.run([w.assign(0.0), b.assign(0.0)])
            saver.restore(session, prefix)
            observed[f"saver {number}"] = [stored(tf, prefix), saver.last_checkpoints, values(session, w, b)]
            session.run(b.assign(2.0))
    return observed | {"files": files(directory)}


@over_both()
def test_saver_defs_in_scopes(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver(name="outer/backup")
        inner = saver.to_proto(export_scope="outer")
        text = str(inner)  # TensorFlow changes the message that it is given
        back = tf.train.Saver.from_proto(inner, import_scope="outer")
        return {
            "inner": text,
            "another": saver.to_proto(export_scope="elsewhere"),
            "back": str(back.as_saver_def()),
            "saved": back.save(session, str(directory / "model")),
        }


@over_both()
def test_saver_defs_that_say_too_little(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0):
        good = tf.train.Saver().as_saver_def()
        observed = {"no message": outcome(lambda: tf.train.Saver(saver_def="save"))}
        for field in ("save_tensor_name", "restore_op_name"):
            lacking = tf.train.SaverDef()
            lacking.CopyFrom(good)
            lacking.ClearField(field)
            observed[field] = outcome(lambda lacking=lacking: tf.train.Saver(saver_def=lacking))
        return observed


@over_both()
def test_fields_and_values_of_saver_def(tf: Any, directory: Path, clock: Any) -> Any:
    message = tf.train.SaverDef(save_tensor_name="a:0", version=tf.train.SaverDef.V1, max_to_keep=3)
    return {
        "text": str(message),
        "values": [tf.train.SaverDef.LEGACY, tf.train.SaverDef.V1, tf.train.SaverDef.V2],
        "fields": [field.name for field in message.DESCRIPTOR.fields],
        "back": tf.train.SaverDef.FromString(message.SerializeToString()) == message,
    }


@over_both()
def test_savers_of_parts_of_one_graph(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0, b=2.0) as (session, (w, b)):
        for name, variables in (("weights", [w]), ("biases", [b])):
            tf.train.Saver(variables).save(session, str(directory / name), latest_filename=f"{name}_state")
    with session_with(later, w=0.0, b=0.0) as (session, (w, b)):
        first, second = later.train.Saver([w]), later.train.Saver({"b": b})
        first.restore(session, later.train.latest_checkpoint(str(directory), "weights_state"))
        between = values(session, w, b)
        second.restore(session, later.train.latest_checkpoint(str(directory), "biases_state"))
        return {"between": between, "after": values(session, w, b), "default": state(directory)}


@over_both()
def test_savers_in_the_collection_of_savers(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver()
        tf.add_to_collection(tf.GraphKeys.SAVERS, saver)
        prefix = saver.save(session, str(directory / "model"))
    with later.Graph().as_default():
        later.train.import_meta_graph(prefix + ".meta")
        found = later.get_collection(later.GraphKeys.SAVERS)
        return {"savers": [str(saver.as_saver_def()) for saver in found]}
