"""The state file, both ways between real TensorFlow and us."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.state.state_file import CheckpointState, decode_state, encode_state

if TYPE_CHECKING:
    from pathlib import Path

PATHS = [
    "ckpt-1",
    "with space-2",
    'quote"-3',
    "apostrophe'-4",
    "back\\slash-5",
    "épsilon-6",
    "日本-7",
    "tab\t-8",
    "newline\n-9",
    "\x01\x7f-10",
    "line\u2028separator-11",
    "?*[a]-12",
    "a" * 300,
]
TIMES = [0.1, 1728082747.943192, 1.5e9, 1e300, 5e-324, 1.0, 123456789.123456789, 2.0**53 + 2]


def written_by_tensorflow(
    tf: Any, folder: Path, paths: list[str], times: list[float], preserved: float | None
) -> bytes:
    """What `tf.train.CheckpointManager` has written for its state."""
    from tensorflow.python.checkpoint import checkpoint_management

    checkpoint_management.update_checkpoint_state_internal(
        str(folder),
        paths[-1],
        all_model_checkpoint_paths=list(paths),
        all_model_checkpoint_timestamps=times,
        last_preserved_timestamp=preserved,
    )
    return (folder / "checkpoint").read_bytes()


@pytest.mark.parametrize("path", PATHS)
def test_the_text_is_tensorflow_s_byte_for_byte_whatever_the_path(tf: Any, tmp_path: Path, path: str) -> None:
    paths = ["older", path]
    theirs = written_by_tensorflow(tf, tmp_path, paths, [1.5, 2.5], 1.25)
    state = CheckpointState(path, tuple(paths), (1.5, 2.5), 1.25)
    assert encode_state(state) == theirs
    assert decode_state(theirs, "checkpoint") == state


@pytest.mark.parametrize("time", TIMES)
def test_the_text_is_tensorflow_s_byte_for_byte_whatever_the_time(tf: Any, tmp_path: Path, time: float) -> None:
    theirs = written_by_tensorflow(tf, tmp_path, ["a", "b"], [time, time], time)
    assert encode_state(CheckpointState("b", ("a", "b"), (time, time), time)) == theirs


def test_the_text_without_times(tf: Any, tmp_path: Path) -> None:
    tf.compat.v1.train.update_checkpoint_state(str(tmp_path), "b", ["a", "b"])
    assert encode_state(CheckpointState("b", ("a", "b"))) == (tmp_path / "checkpoint").read_bytes()


@pytest.mark.parametrize("path", PATHS)
def test_tensorflow_reads_ours_comment_line_and_all(tf: Any, tmp_path: Path, path: str) -> None:
    state = CheckpointState(path, ("older", path), (1.5, 2.5), 1.25, retired=("gone", 'odd"\n'), left=(path,))
    (tmp_path / "checkpoint").write_bytes(encode_state(state))
    read = tf.train.get_checkpoint_state(str(tmp_path))
    assert read.model_checkpoint_path == f"{tmp_path}/{path}"
    assert list(read.all_model_checkpoint_paths) == [f"{tmp_path}/older", f"{tmp_path}/{path}"]
    assert list(read.all_model_checkpoint_timestamps) == [1.5, 2.5]
    assert read.last_preserved_timestamp == 1.25


def test_tensorflow_finds_what_a_manager_saved(tf: Any, tmp_path: Path) -> None:
    with ckpt.CheckpointManager(tmp_path, max_to_keep=2) as manager:
        for step in (1, 2, 3, 2):  # with retired and left ones in the comment line
            manager.save(step, {"w": np.full(2, step)})
    assert (tmp_path / "checkpoint").read_text().startswith("# cloudckpt: ")
    latest = tf.train.latest_checkpoint(str(tmp_path))
    assert latest == str(tmp_path / "ckpt-2") == ckpt.latest_checkpoint(tmp_path)
    assert tf.train.load_checkpoint(latest).get_tensor("w").tolist() == [2, 2]


def test_an_unknown_field_would_blind_tensorflow(tf: Any, tmp_path: Path) -> None:
    """Why what we have to say beside stands in a comment."""
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-1"\nretired: "ckpt-0"\n')
    assert tf.train.get_checkpoint_state(str(tmp_path)) is None
    assert decode_state((tmp_path / "checkpoint").read_bytes(), "checkpoint").latest == "ckpt-1"


def test_we_read_what_a_v1_saver_writes(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("w", initializer=np.ones(2))
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(max_to_keep=2)
        for step in (5, 7, 9):
            saver.save(session, str(tmp_path / "model.ckpt"), global_step=step)
    state = decode_state((tmp_path / "checkpoint").read_bytes(), "checkpoint")
    assert [path.rpartition("/")[2] for path in state.paths] == ["model.ckpt-7", "model.ckpt-9"]
    assert ckpt.latest_checkpoint(tmp_path) == str(tmp_path / "model.ckpt-9")
    with ckpt.CheckpointManager(tmp_path, checkpoint_name="model.ckpt") as manager:
        tensors, step = manager.restore_latest()
    assert step == 9
    assert tensors["w"].tolist() == [1, 1]


CASES: dict[str, tuple[bytes, str | type[Exception] | None, str | type[Exception] | None]] = {
    # content of the state file; TensorFlow's answer; ours
    "the same": (b'model_checkpoint_path: "ckpt-5"', "run/ckpt-5", "run/ckpt-5"),
    "gone": (b'model_checkpoint_path: "ckpt-6"', None, None),
    # TensorFlow ignores what it can't read, so that a job trains from scratch.
    "unreadable": (b"rubbish", None, ckpt.StateFileError),
    "not UTF-8": (b'model_checkpoint_path: "\xff"', UnicodeDecodeError, ckpt.StateFileError),
    "an unknown field": (b'model_checkpoint_path: "ckpt-5" x: 1', None, "run/ckpt-5"),
    # It raises where the state is empty; ours names nothing.
    "empty": (b"", ValueError, None),
    # It follows a path out of the folder; ours looks for its last component inside.
    "outside": (b'model_checkpoint_path: "../ckpt-7"', "run/../ckpt-7", None),
    "moved": (b'model_checkpoint_path: "/elsewhere/ckpt-5"', None, "run/ckpt-5"),
    "from Windows": (b'model_checkpoint_path: "C:\\\\runs\\\\ckpt-5"', None, "run/ckpt-5"),
    # It takes a pattern, and answers with it.
    "a pattern": (b'model_checkpoint_path: "ckpt-?"', "run/ckpt-?", None),
}


def answer(latest: Any, run: str) -> str | type[Exception] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ckpt.RecoveryWarning)
        try:
            found = latest(run)
        except Exception as error:  # noqa: BLE001 - its type is the answer
            return type(error)
    return None if found is None else str(found)


@pytest.mark.parametrize("case", CASES)
def test_where_latest_checkpoint_departs_from_tensorflow_s(tf: Any, tmp_path: Path, case: str) -> None:
    content, theirs, ours = CASES[case]
    ckpt.save(tmp_path / "run" / "ckpt-5", {"w": 1})
    ckpt.save(tmp_path / "ckpt-7", {"w": 1})
    (tmp_path / "run" / "checkpoint").write_bytes(content)
    run = str(tmp_path / "run")

    def absolute(expected: str | type[Exception] | None) -> str | type[Exception] | None:
        return f"{tmp_path}/{expected}" if isinstance(expected, str) else expected

    assert answer(tf.train.latest_checkpoint, run) == absolute(theirs)
    assert answer(ckpt.latest_checkpoint, run) == absolute(ours)


def test_the_answer_is_relative_where_it_was_asked_so(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ckpt.CheckpointManager(tmp_path / "run") as manager:
        manager.save(5, {"w": 1})
    monkeypatch.chdir(tmp_path)
    assert tf.train.latest_checkpoint("run") == ckpt.latest_checkpoint("run") == "run/ckpt-5"
    monkeypatch.chdir(tmp_path / "run")
    assert tf.train.latest_checkpoint("") == ckpt.latest_checkpoint("") == "ckpt-5"
