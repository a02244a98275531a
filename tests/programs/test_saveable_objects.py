"""Users' own saveable objects and builders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.programs.comparison import over_both
from tests.programs.graphs import session_with
from tests.programs.observations import stored, values

if TYPE_CHECKING:
    from pathlib import Path


def saving(tf: Any) -> Any:
    """The module with the builders: programs took them from where TensorFlow has them, as it exports them nowhere."""
    if hasattr(tf.train, "BaseSaverBuilder"):
        return tf.train
    from tensorflow.python.training import saver

    return saver


def pair(tf: Any, first: Any, second: Any, name: str = "pair") -> Any:
    """An object of two variables, which swaps their names."""
    base = saving(tf).BaseSaverBuilder

    class Pair(base.SaveableObject):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            specs = [
                base.SaveSpec(first.value(), "", f"{name}/second"),
                base.SaveSpec(second.value(), "", f"{name}/first"),
            ]
            super().__init__(first.op, specs, name)

        def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
            return tf.group(first.assign(restored_tensors[0]), second.assign(restored_tensors[1]))

    return Pair()


@over_both()
def test_several_tensors_for_one_object(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, a=[1.0, 2.0], b=3) as (session, (a, b)):
        saver = tf.train.Saver([pair(tf, a, b)])
        prefix = saver.save(session, str(directory / "model"), write_meta_graph=False)
        session.run([a.assign([0.0, 0.0]), b.assign(0)])
        saver.restore(session, prefix)
        return {"stored": stored(tf, prefix), "restored": values(session, a, b)}


@over_both()
def test_an_object_beside_variables(tf: Any, directory: Path, clock: Any) -> Any:
    with session_with(tf, a=1.0, b=2.0, c=3.0) as (session, (a, b, c)):
        tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, pair(tf, a, b))
        everything = tf.train.Saver().save(session, str(directory / "all"), write_meta_graph=False)
        saver = tf.train.Saver({"pair": pair(tf, a, b), "alone": c})
        some = saver.save(session, str(directory / "some"), write_meta_graph=False)
        return {"all": stored(tf, everything), "some": stored(tf, some)}


@pytest.mark.parametrize("base", ["BaseSaverBuilder", "BulkSaverBuilder"])
@pytest.mark.parametrize("version", ["V1", "V2"])
@over_both()
def test_a_builder_of_ones_own(tf: Any, directory: Path, clock: Any, base: str, version: str) -> Any:
    calls = []

    class Builder(getattr(saving(tf), base)):  # type: ignore[misc]
        def save_op(self, filename_tensor: Any, saveables: Any) -> Any:
            calls.append([saveable.name for saveable in saveables])
            return super().save_op(filename_tensor, saveables)

    with session_with(tf, a=[1.0, 2.0], b=3) as (session, (a, b)):
        saver = tf.train.Saver(builder=Builder(write_version=getattr(tf.train.SaverDef, version)))
        prefix = saver.save(session, str(directory / "model"), write_meta_graph=False)
        session.run([a.assign([0.0, 0.0]), b.assign(0)])
        saver.restore(session, prefix)
        return {"calls": calls, "stored": stored(tf, prefix), "restored": values(session, a, b)}
