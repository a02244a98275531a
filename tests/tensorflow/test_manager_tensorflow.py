"""Our manager beside `tf.train.CheckpointManager`: the same retention, and each takes over the other's directory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.manager.arguments import keep_policy
from cloudckpt.state.retention import Kept, retain

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0
START = 1_700_000_000.0


def steps_in(folder: Path) -> list[int]:
    """The steps that have an index."""
    return sorted(
        int(found[1]) for path in folder.iterdir() if (found := re.fullmatch(r"ckpt-(\d+)\.index", path.name))
    )


class Clock:
    """The time that TensorFlow's manager sees, seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tensorflow.python.checkpoint import checkpoint_management

        self.now = START
        monkeypatch.setattr(checkpoint_management.time, "time", lambda: self.now)


def theirs(
    tf: Any, folder: Path, clock: Clock, hours: list[float], restart_after: int, limits: dict[str, Any]
) -> list[int]:
    """The numbers of the saves that TensorFlow's manager keeps on disk."""
    checkpoint = tf.train.Checkpoint(w=tf.Variable(1.0))

    def manager() -> Any:
        return tf.train.CheckpointManager(checkpoint, str(folder), checkpoint_name="ckpt", **limits)

    current = manager()
    for number, hour in enumerate(hours):
        clock.now = START + hour * HOUR
        if number == restart_after:
            current = manager()
        current.save(checkpoint_number=number)
    return steps_in(folder)


def ours(hours: list[float], limits: dict[str, Any], last_preserved: float) -> list[int]:
    """The numbers of the saves that our rule keeps."""
    kept: list[Kept] = []
    for number, hour in enumerate(hours):
        answer = retain(
            [*kept, Kept(str(number), START + hour * HOUR)],
            keep_policy(limits["max_to_keep"], limits["keep_checkpoint_every_n_hours"], None, None, "min"),
            last_preserved=last_preserved,
        )
        kept, last_preserved = answer.kept, answer.last_preserved
    return [int(each.path) for each in kept]


ROWS = {
    "every half hour": [0.5 * number for number in range(1, 20)],
    "uneven": [0.1, 0.2, 1.7, 1.8, 3.0, 3.05, 8.0, 8.1, 8.2, 8.3, 11.0, 11.5, 12.0],
    "a clock that goes back": [0.5, 1.0, 1.5, 5.0, 5.5, 2.0, 2.5, 3.0, 3.5, 4.0, 6.0, 9.0],
}


@pytest.mark.parametrize("restart_after", [0, 7])
@pytest.mark.parametrize("max_to_keep", [None, 1, 3])
@pytest.mark.parametrize("every", [None, 1, 2.0])
@pytest.mark.parametrize("name", ["every half hour", "uneven"])
def test_p6_the_same_stay_as_with_tensorflow(
    tf: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    every: float | None,
    max_to_keep: int | None,
    restart_after: int,
) -> None:
    """Once both begin to count hours at the same time: TensorFlow's when it is made, a second before."""
    limits = {"max_to_keep": max_to_keep, "keep_checkpoint_every_n_hours": every}
    clock = Clock(monkeypatch)
    expected = theirs(tf, tmp_path, clock, ROWS[name], restart_after, limits)
    assert ours(
        ROWS[name], limits, last_preserved=START - 1 if restart_after else START + ROWS[name][0] * HOUR - 1
    ) == (expected)


def test_where_ours_begins_to_count_hours(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is a function of the times of the checkpoints alone, so that the first one always stays."""
    limits = {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 2.0}
    hours = ROWS["every half hour"]
    expected = theirs(tf, tmp_path, Clock(monkeypatch), hours, 99, limits)
    assert expected == [3, 7, 11, 15, 18]
    assert ours(hours, limits, last_preserved=0.0) == [0, 4, 8, 12, 16, 18]


def test_a_clock_that_goes_back(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's manager looks at the clock when it is made, ours at each save."""
    limits = {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 1}
    hours = ROWS["a clock that goes back"]
    expected = theirs(tf, tmp_path, Clock(monkeypatch), hours, 99, limits)
    kept = ours(hours, limits, last_preserved=START - 1)
    assert expected == [1, 3, 10, 11]
    assert kept == [1, 3, 4, 5, 7, 9, 10, 11]


def test_our_manager_takes_over_from_tensorflow_s(tf: Any, tmp_path: Path) -> None:
    checkpoint = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0]))
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=3)
    for _ in range(5):
        manager.save()
    with ckpt.CheckpointManager(tmp_path, max_to_keep=2) as taken_over:
        assert taken_over.all_steps() == [3, 4, 5]
        tensors, step = taken_over.restore_latest()
        assert step == 5
        assert tensors["w/.ATTRIBUTES/VARIABLE_VALUE"].tolist() == [1.0, 2.0]
        taken_over.save(6, {"w": np.ones(2)})
    assert steps_in(tmp_path) == [5, 6]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-6")


def test_tensorflow_s_manager_takes_over_from_ours(tf: Any, tmp_path: Path) -> None:
    with ckpt.CheckpointManager(tmp_path, max_to_keep=3) as manager:
        for step in (1, 2, 3, 4):
            manager.save(step, {"w": np.ones(2)})
    checkpoint = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0]))
    taken_over = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2)
    assert taken_over.checkpoints == [str(tmp_path / f"ckpt-{step}") for step in (2, 3, 4)]
    taken_over.save(checkpoint_number=5)
    assert steps_in(tmp_path) == [4, 5]
    # It has written the state anew, without our line; ours goes on from there.
    with ckpt.CheckpointManager(tmp_path) as manager:
        assert manager.restore_latest()[1] == 5


def test_tensorflow_s_manager_never_deletes_what_ours_preserved(
    tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ckpt.CheckpointManager(tmp_path, max_to_keep=1, keep_every_n_hours=1000) as manager:
        for step in (1, 2, 3):
            manager.save(step, {"w": np.ones(2)})
        assert manager.all_steps() == [1, 3]
    checkpoint = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0]))
    taken_over = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=1)
    taken_over.save(checkpoint_number=4)
    assert steps_in(tmp_path) == [1, 4]


def test_a_job_of_tensorflow_that_lost_its_state_file_is_recovered(tf: Any, tmp_path: Path) -> None:
    checkpoint = tf.train.Checkpoint(w=tf.Variable([1.0, 2.0]))
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=3)
    for _ in range(12):
        manager.save()
    (tmp_path / "checkpoint").unlink()
    assert tf.train.latest_checkpoint(str(tmp_path)) is None
    with ckpt.CheckpointManager(tmp_path) as recovered:
        assert recovered.restore_latest()[1] == 12


def test_tensorflow_reads_a_directory_with_metrics(tf: Any, tmp_path: Path) -> None:
    with ckpt.CheckpointManager(tmp_path, max_to_keep=1, best_metric="loss") as manager:
        for step, loss in ((1, 0.5), (2, float("nan")), (3, 0.75)):
            manager.save(step, {"w": np.ones(2)}, {"loss": loss})
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [path.rpartition("/")[2] for path in state.all_model_checkpoint_paths] == ["ckpt-1", "ckpt-3"]
    reader = tf.train.load_checkpoint(str(tmp_path))
    assert reader.get_tensor("_CLOUDCKPT_METRICS") == b'{"loss": 0.75}'
    assert reader.get_tensor("w").tolist() == [1.0, 1.0]
