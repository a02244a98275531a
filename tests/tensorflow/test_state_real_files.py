"""The state files that real programs wrote: read as TensorFlow reads them, whatever they name."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import cloudckpt as ckpt
from cloudckpt.state.state_file import decode_state, last_component

REAL = Path(os.environ.get("CLOUDCKPT_REAL_CHECKPOINTS", "/nonexistent")).resolve()
FOLDERS = sorted(str(path.parent.relative_to(REAL)) for path in REAL.rglob("checkpoint") if path.is_file())


def test_they_are_there(real_checkpoints: Path) -> None:
    assert len(FOLDERS) >= 50


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_state_is_read_as_tensorflow_reads_it(tf: Any, folder: str) -> None:
    theirs = tf.train.get_checkpoint_state(str(REAL / folder))
    ours = decode_state((REAL / folder / "checkpoint").read_bytes(), folder)

    def joined(path: str) -> str:
        return os.path.join(REAL / folder, path)

    assert joined(ours.latest) == theirs.model_checkpoint_path
    assert [joined(path) for path in ours.paths] == list(theirs.all_model_checkpoint_paths)
    assert list(ours.timestamps) == list(theirs.all_model_checkpoint_timestamps)
    assert ours.last_preserved == theirs.last_preserved_timestamp
    assert ours.retired == ours.left == ()


FOUND_ELSEWHERE = {
    # Written with an absolute path, or one relative to another folder, of the machine that it was written on:
    # TensorFlow finds nothing, and ours takes the file of that name that is there.
    "v1_savedmodel_half_plus_two_sharded_201609/variables": "variables-?????-of-00001",
    "v1_tf05_softmax": "softmax-1000.ckpt",
    "v2_tf1_tf2onnx_regression_winpath/checkpoint": "model",
}
VERSION_1 = {folder for folder in FOLDERS if folder.startswith("v1_")}
"""They have no index."""
WITHOUT_DATA = {"v2_tf2_sonnet/resnet50"}
"""Their data files are missing: TensorFlow names them all the same."""


def latest(folder: str) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ckpt.RecoveryWarning)
        if folder not in WITHOUT_DATA:
            return ckpt.latest_checkpoint(REAL / folder)
        with pytest.raises(ckpt.CheckpointDamagedError, match="is not whole") as failure:
            ckpt.latest_checkpoint(REAL / folder)
        return failure.value.path


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_latest_checkpoint_is_tensorflow_s(tf: Any, folder: str) -> None:
    theirs = tf.train.latest_checkpoint(str(REAL / folder))
    ours = latest(folder)
    if folder in FOUND_ELSEWHERE:
        assert theirs is None
        assert ours == str(REAL / folder / FOUND_ELSEWHERE[folder])
    else:
        assert ours == theirs
    assert folder not in VERSION_1 or ours is not None


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_manager_recovers_or_refuses_but_never_begins_anew(folder: str) -> None:
    """With the base name of what the state names; a state without steps in its names, or of version 1, is refused."""
    named = decode_state((REAL / folder / "checkpoint").read_bytes(), folder).latest
    base_name, _, step = last_component(named).rpartition("-")
    whole = latest(folder) is not None and folder not in WITHOUT_DATA | VERSION_1
    with ckpt.CheckpointManager(REAL / folder, checkpoint_name=base_name or "ckpt") as manager:
        if whole and step.isdecimal():
            assert manager.restore_latest(default=None)[1] == int(step)
        else:
            with pytest.warns(ckpt.RecoveryWarning), pytest.raises(ckpt.CheckpointDamagedError):
                manager.restore_latest(default=None)
