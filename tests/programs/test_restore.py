"""What can't be restored, and what can although it differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import CheckpointDamagedError
from tests.programs.comparison import Departure, over_both
from tests.programs.graphs import restored, save_once, session_with
from tests.programs.observations import files, outcome, values

if TYPE_CHECKING:
    from pathlib import Path


@over_both()
def test_no_checkpoint(tf: Any, directory: Path, clock: Any) -> Any:
    (directory / "folder").mkdir()
    (directory / "folder" / "file").write_text("")
    with session_with(tf, w=1.0) as (session, _):
        saver = tf.train.Saver()
        paths = [
            None,
            str(directory / "none"),
            str(directory / "folder" / "none"),
            str(directory / "none" / "none"),
            "",
        ]
        return {"refused": [outcome(lambda path=path: saver.restore(session, path)) for path in paths]}


@pytest.mark.parametrize("version", ["V1", "V2"])
@over_both()
def test_a_tensor_that_is_not_there(tf: Any, later: Any, directory: Path, clock: Any, version: str) -> Any:
    save_once(tf, directory / "model", saver={"write_version": getattr(tf.train.SaverDef, version)}, w=1.0)
    with session_with(later, w=5.0, b=6.0) as (session, variables):
        refused = outcome(lambda: later.train.Saver().restore(session, str(directory / "model")))
        return {"refused": refused, "left alone": values(session, *variables)[1:]}


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize(
    "initial", [[0.0, 0.0], 0.0, [[0.0] * 3], [0, 0, 0]], ids=["longer", "scalar", "rank", "dtype"]
)
@over_both()
def test_another_shape_or_dtype(tf: Any, later: Any, directory: Path, clock: Any, version: str, initial: Any) -> Any:
    save_once(tf, directory / "model", saver={"write_version": getattr(tf.train.SaverDef, version)}, w=[1.0, 2.0, 3.0])
    return {"refused": outcome(lambda: restored(later, directory / "model", w=initial))}


@pytest.mark.parametrize("version", ["V1", "V2"])
@over_both()
def test_reshape(tf: Any, later: Any, directory: Path, clock: Any, version: str) -> Any:
    save_once(
        tf, directory / "model", saver={"write_version": getattr(tf.train.SaverDef, version)}, w=[1.0, 2.0, 3.0, 4.0]
    )
    given = {"square": [[0.0, 0.0], [0.0, 0.0]], "same": [0.0] * 4, "too few": [0.0] * 3, "too many": [[0.0] * 5]}
    reshaped = {
        name: outcome(lambda w=w: restored(later, directory / "model", saver={"reshape": True}, w=w))
        for name, w in given.items()
    }
    return {"reshaped": reshaped}


@over_both()
def test_either_format_whatever_the_saver_writes(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    observed = {}
    for version in ("V1", "V2"):
        options = {"write_version": getattr(tf.train.SaverDef, version)}
        observed[f"saved {version}"] = save_once(tf, directory / version, saver=options, w=[1.0, 2.0], b=3)
        for own in ("V1", "V2"):
            saver = {"write_version": getattr(later.train.SaverDef, own)}
            observed[f"{version} by {own}"] = restored(later, directory / version, saver=saver, w=[0.0, 0.0], b=0)
    return observed | {"files": files(directory)}


@pytest.mark.parametrize("damage", ["empty index", "half an index", "half the data", "a flipped bit"])
@over_both()
def test_damage(tf: Any, directory: Path, clock: Any, damage: str) -> Any:
    save_once(tf, directory / "model", w=[1.0] * 100)
    index, data = directory / "model.index", directory / "model.data-00000-of-00001"
    match damage:
        case "empty index":
            index.write_bytes(b"")
        case "half an index":
            index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])
        case "half the data":
            data.write_bytes(data.read_bytes()[:200])
        case "a flipped bit":
            data.write_bytes(b"\1" + data.read_bytes()[1:])
    return {"raised": outcome(lambda: restored(tf, directory / "model", w=[0.0] * 100))}


@over_both(
    raised=Departure(
        "a checkpoint whose index is there is damaged, not absent: a job that starts anew for it would lose its work",
        lambda raised: raised.error.__name__ == "NotFoundError",
        CheckpointDamagedError,
    )
)
def test_a_data_file_that_is_gone(tf: Any, directory: Path, clock: Any) -> Any:
    save_once(tf, directory / "model", w=1.0)
    (directory / "model.data-00000-of-00001").unlink()
    return {"raised": outcome(lambda: restored(tf, directory / "model", w=0.0))}


@over_both(
    tried=Departure(
        "it is the path that is wrong: the error says which prefix was probably meant",
        lambda tried: [each.error.__name__ for each in tried] == ["NotFoundError", "DataLossError"],
        lambda tried: all(issubclass(each.error, ValueError) for each in tried),
    )
)
def test_a_file_of_the_checkpoint_in_place_of_its_prefix(tf: Any, directory: Path, clock: Any) -> Any:
    save_once(tf, directory / "model", w=1.0)
    names = ("model.index", "model.data-00000-of-00001")
    return {"tried": [outcome(lambda name=name: restored(tf, directory / name, w=0.0)) for name in names]}


@over_both()
def test_variables_that_are_not_restored_keep_their_values(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    save_once(tf, directory / "model", w=1.0, b=2.0)
    with session_with(later, w=5.0, b=6.0) as (session, (w, b)):
        later.train.Saver([b]).restore(session, str(directory / "model"))
        return {"values": values(session, w, b)}
