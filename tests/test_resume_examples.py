"""The guides' jobs over NumPy, JAX and PyTorch: preempted and killed, they end as a run that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.manager.run import PREEMPTED_EXIT_CODE
from tests.frameworks import require_torch

if TYPE_CHECKING:
    from tests.servers import ObjectServer

EXAMPLES = Path(__file__).parent.parent / "examples"
STEPS, PREEMPTED_AT, KILLED_AT = 400, 137, 256

# Runs one of the examples, but stands still after a step until a line comes: then a signal meets it there.
PROGRAM = """
import importlib, sys

name, directory, stop_after = sys.argv[1], sys.argv[2], int(sys.argv[3])
example = importlib.import_module(name)
undisturbed = example.train

def train(restored):
    print("from", 0 if restored is None else restored[1], flush=True)
    for step, state in undisturbed(restored):
        if step == stop_after:
            print("standing", flush=True)
            sys.stdin.readline()
        yield step, state

example.train = train
sys.exit(example.main(directory))
"""


class Job:
    """One run of an example."""

    def __init__(self, example: str, directory: str, stop_after: int = 0) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parent)])}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, example, directory, str(stop_after)],
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def meets(self, number: signal.Signals) -> int:
        """Give it a signal where it stands; its exit code."""
        assert self._process.stdout is not None
        assert "standing\n" in iter(self._process.stdout.readline, "")
        self._process.send_signal(number)
        self._process.communicate("\n" if number != signal.SIGKILL else None)
        return self._process.returncode

    def ends(self) -> list[str]:
        """What it said, once it is done."""
        output, _ = self._process.communicate()
        assert self._process.returncode == 0, output
        return output.splitlines()


@pytest.mark.parametrize("example", ["resume_numpy", "resume_jax", "resume_pytorch"])
def test_a_preempted_and_killed_job_ends_as_an_undisturbed_one(example: str, tmp_path: Path) -> None:
    if example == "resume_pytorch":
        require_torch()
    disturbed_and_resumed(example, str(tmp_path / "job"), str(tmp_path / "undisturbed"), {})


def test_the_same_straight_to_a_bucket(minio: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", minio.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", minio.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", minio.region)
    folder = f"s3://{minio.bucket}/resume"
    disturbed_and_resumed("resume_numpy", f"{folder}/job", f"{folder}/undisturbed", minio.storage_options)


def disturbed_and_resumed(example: str, directory: str, undisturbed: str, options: dict[str, Any]) -> None:
    *_, expected = Job(example, undisturbed).ends()

    assert Job(example, directory, PREEMPTED_AT).meets(signal.SIGTERM) == PREEMPTED_EXIT_CODE
    with ckpt.CheckpointManager(directory, storage_options=options) as manager:
        assert manager.latest_step() == PREEMPTED_AT  # the last save was made, though no step of its was due

    assert Job(example, directory, KILLED_AT).meets(signal.SIGKILL) == -signal.SIGKILL
    first, *_, last = Job(example, directory).ends()
    resumed_at = int(first.removeprefix("from "))
    assert KILLED_AT - 20 <= resumed_at < KILLED_AT  # but one save, the one in flight
    assert last == expected
    with ckpt.CheckpointManager(directory, storage_options=options) as manager:
        assert manager.latest_step() == STEPS
