"""What TensorFlow's own ops do with the calls that ours refuse: the table in tests/ops/misuses.py is true."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudckpt.errors import (
    CheckpointNotFoundError,
    CheckpointPathError,
    InvalidArgumentError,
    TensorNotFoundError,
)
from tests.ops.misuses import ACCEPTED, CASES, CRASHES, IDS, INTERNAL, INVALID, NOT_FOUND, TABLES, UNIMPLEMENTED, Misuse

REPOSITORY = Path(__file__).parent.parent.parent

OURS: dict[str, set[type[Exception]]] = {
    # The class of the same name; slices that lack are a tensor that is not there.
    INVALID: {InvalidArgumentError, TensorNotFoundError},
    NOT_FOUND: {TensorNotFoundError, CheckpointNotFoundError, CheckpointPathError},
    # The caller's mistake, whatever TensorFlow calls it.
    INTERNAL: {InvalidArgumentError},
    UNIMPLEMENTED: {InvalidArgumentError},
    "TypeError": {TypeError},
    "ValueError": {TypeError},
    # Refused, because what came of it could not be read, or was not what the caller meant.
    ACCEPTED: {InvalidArgumentError, CheckpointPathError},
    CRASHES: {InvalidArgumentError},
}
"""Which of our classes stand for each of TensorFlow's; docs/reference/raw-ops.md explains each."""

QUIET = [(case_id, *case) for case_id, case in zip(IDS, CASES, strict=True) if case[1].theirs != CRASHES]


@pytest.mark.parametrize(("table", "misuse"), [case[1:] for case in QUIET], ids=[case[0] for case in QUIET])
def test_tensorflow_raises_what_the_table_says(
    tf: Any, table: str, misuse: Misuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where an empty prefix leads
    path = str(tmp_path / "ckpt")
    TABLES[table][0](tf.raw_ops, path)
    if misuse.theirs == ACCEPTED:
        misuse.call(tf.raw_ops, path)
        return
    known = getattr(tf.errors, misuse.theirs, None) or {"TypeError": TypeError, "ValueError": ValueError}[misuse.theirs]
    with pytest.raises(known) as caught:
        misuse.call(tf.raw_ops, path)
    assert type(caught.value) is known


@pytest.mark.parametrize("misuse", [misuse for _, misuse in CASES], ids=IDS)
def test_our_class_stands_for_tensorflow_s(misuse: Misuse) -> None:
    assert misuse.ours in OURS[misuse.theirs]


def test_tensorflow_dies_of_what_the_table_says(tf: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.tensorflow.misuse_crashes", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY, timeout=200)
    assert done.returncode == 0, done.stderr
    signals = json.loads(done.stdout.splitlines()[-1])
    assert signals
    assert set(signals.values()) == {signal.SIGABRT}, signals
