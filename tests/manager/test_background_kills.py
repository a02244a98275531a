"""Jobs that save behind their own back, really killed: what was announced as durable is never lost, nor ever torn."""

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

import pytest

import cloudckpt as ckpt
from tests.manager.background_job import advance, initial

if TYPE_CHECKING:
    from tests.servers import ObjectServer

REPOSITORY = Path(__file__).parent.parent.parent


def run_and_kill(directory: str, options: dict[str, Any], lines: int, delay: float, how: int) -> tuple[int, int]:
    """Run the job until it has announced so many steps, and kill it so many seconds later.

    Returns:
        The step that it restored, and the last one that it announced.
    """
    command = [sys.executable, "-m", "tests.manager.background_job", directory, json.dumps(options)]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environ) as job:
        assert job.stdout is not None
        said = []
        for line in job.stdout:
            said.append(line)
            if len(said) == lines + 1:
                threading.Timer(delay, job.send_signal, [how]).start()
        assert job.wait() == -how, said
    # The kill may tear the last line.
    steps = [int(line.split()[1]) for line in said if line.endswith("\n")]
    return steps[0], steps[-1]


def train(directory: str, options: dict[str, Any], kills: int) -> None:
    rng = random.Random(1)
    announced = 0
    for number in range(kills):
        # Nobody handles SIGTERM here: Python dies of it at once, as of SIGKILL.
        how = signal.SIGTERM if number % 3 == 2 else signal.SIGKILL
        restored, newest = run_and_kill(directory, options, rng.randint(0, 3), rng.uniform(0, 0.1), how)
        # What was in flight may have been committed, too; and what was done, but not announced yet.
        assert announced <= restored <= announced + 2
        announced = max(newest, restored)
    with ckpt.CheckpointManager(directory, storage_options=options) as manager:
        state, step = manager.restore_latest()
        assert announced <= step <= announced + 2
        assert len(manager.all_steps()) <= 4
    expected = initial()
    for _ in range(step):
        advance(expected)
    assert state["step"] == step
    assert state["w"].tobytes() == expected["w"].tobytes()


def test_p4_killed_while_saving_behind_on_a_local_disk(tmp_path: Path) -> None:
    train(str(tmp_path / "run"), {}, kills=10)


def test_p4_killed_while_saving_behind_on_minio(minio: ObjectServer) -> None:
    train(minio.fresh_url(), minio.storage_options, kills=8)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_p4_killed_two_hundred_times_while_saving_behind(minio: ObjectServer) -> None:
    train(minio.fresh_url(), minio.storage_options, kills=200)
