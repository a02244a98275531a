"""Jobs that save behind their own back, really killed: what was announced as durable is never lost, nor ever torn."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from tests.manager.background_job import advance, initial
from tests.manager.killing import run_and_kill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import ObjectServer


def train(directory: str, options: dict[str, Any], kills: int) -> None:
    rng = random.Random(1)
    announced = 0
    for number in range(kills):
        # Nobody handles SIGTERM here: Python dies of it at once, as of SIGKILL.
        how = signal.SIGTERM if number % 3 == 2 else signal.SIGKILL
        restored, newest = run_and_kill(
            "tests.manager.background_job",
            directory,
            options,
            announced=rng.randint(0, 3),
            delay=rng.uniform(0, 0.1),
            how=how,
        )
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
