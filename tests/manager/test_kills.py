"""Real processes, really killed: no step that was announced is ever lost, and the weights are those of one long run."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import cloudckpt as ckpt
from tests.manager.job import advanced, initial
from tests.manager.killing import run_and_kill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import ObjectServer


def train(directory: str, options: dict[str, Any], kills: int) -> None:
    rng = random.Random(0)
    announced = 0
    for _ in range(kills):
        restored, newest = run_and_kill(
            "tests.manager.job", directory, options, announced=rng.randint(0, 2), delay=rng.uniform(0, 0.03)
        )
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
