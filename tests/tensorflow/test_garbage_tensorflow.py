"""What real TensorFlow leaves behind when it is killed in the midst of a save."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import cloudckpt as ckpt
from cloudckpt.garbage.report import GarbageKind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("tf")

KILLED = """
import os, sys, threading, time

import tensorflow as tf

folder, suffix = sys.argv[1:]

def kill_when_it_is_there():
    while True:
        for where, _, names in os.walk(folder):
            if any(suffix in os.path.join(where, name) for name in names):
                os._exit(9)

checkpoint = tf.train.Checkpoint(w=tf.Variable(tf.zeros([40_000_000])))
os.makedirs(folder, exist_ok=True)
threading.Thread(target=kill_when_it_is_there, daemon=True).start()
while True:
    checkpoint.write(os.path.join(folder, "ckpt-1"))
    time.sleep(0.01)
"""


@pytest.mark.parametrize("suffix", [".tempstate", "_temp/"])
def test_p12_what_a_killed_save_of_tensorflow_leaves_is_collected(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "run"
    ckpt.save(folder / "ckpt-0", {"w": 0})
    whole = {path.name for path in folder.iterdir()}
    command = [sys.executable, "-c", KILLED, str(folder), suffix]
    assert subprocess.run(command, check=False, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}).returncode == 9
    left = [path for path in folder.rglob("*") if path.is_file() and path.name not in whole]
    assert left
    assert ckpt.collect_garbage(folder).found == ()  # it may be under way for all that is known
    report = ckpt.collect_garbage(folder, min_age=0, no_writers=True)
    assert {piece.path for piece in report.deleted} == {str(path) for path in left if path.name != "ckpt-1.index"}
    assert {piece.kind for piece in report.deleted} == {GarbageKind.TENSORFLOW_TEMPORARY}
    assert {path.name for path in folder.rglob("*") if path.is_file()} == whole
