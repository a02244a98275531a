"""Real processes, really killed: no step that was announced is ever lost, and the weights are those of one long run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudckpt as ckpt
from tests.manager.job import advanced, initial

if TYPE_CHECKING:
    from tests.servers import ObjectServer

REPOSITORY = Path(__file__).parent.parent.parent


def run_and_kill(directory: str, options: dict[str, Any], saves: int, delay: float) -> tuple[int, int]:
    """Run the job until it has announced so many saves, and kill it so many seconds later.

    Returns:
        The step that it restored, and the last one that it announced.
    """
    command = [sys.executable, "-m", "tests.manager.job", directory, json.dumps(options)]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environ) as job:
        assert job.stdout is not None
        said = []
        for line in job.stdout:
            said.append(line)
            if len(said) == saves + 1:
                threading.Timer(delay, job.send_signal, [signal.SIGKILL]).start()
        assert job.wait() == -signal.SIGKILL, said
    # The kill may tear the last line.
    steps = [int(line.split()[1]) for line in said if line.endswith("\n")]
    return steps[0], steps[-1]


def train(directory: str, options: dict[str, Any], kills: int) -> None:
    rng = random.Random(0)
    announced = 0
    for _ in range(kills):
        restored, newest = run_and_kill(directory, options, saves=rng.randint(0, 2), delay=rng.uniform(0, 0.03))
        # The one whose save was under way when it was killed may have been committed, too.
        assert restored in {announced, announced + 1}
        announced = max(newest, restored)
    with ckpt.CheckpointManager(directory, storage_options=options) as manager:
        state, step = manager.restore_latest()
        assert step in {announced, announced + 1}
        assert len(manager.all_steps()) <= 4
    expected = initial()
    for _ in range(step):
        expected = advanced(expected)
    assert state["step"] == step
    assert state["w"].tobytes() == expected["w"].tobytes()


def test_p4_killed_again_and_again_on_a_local_disk(tmp_path: Path) -> None:
    train(str(tmp_path / "run"), {}, kills=20)


def test_p4_killed_again_and_again_on_minio(minio: ObjectServer) -> None:
    train(minio.fresh_url(), minio.storage_options, kills=12)
