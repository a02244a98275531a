"""The program ends while it saves: its exit waits for the commit, or says what was lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from cloudckpt import CheckpointManager
from tests.manager.exiting_job import state

if TYPE_CHECKING:
    from tests.servers import ObjectServer

ROOT = Path(__file__).parent.parent.parent


def command(directory: str, way: str, saving: str) -> list[str]:
    return [sys.executable, "-m", "tests.manager.exiting_job", directory, way, saving]


def run(directory: str, way: str, saving: str = "late") -> tuple[int, str]:
    """How the program ended, and what it said."""
    done = subprocess.run(
        command(directory, way, saving), cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stderr


def check(directory: str, steps: list[int]) -> None:
    with CheckpointManager(directory) as manager:
        assert manager.all_steps() == steps
        if steps:
            restored, step = manager.restore_latest()
            assert step == steps[-1]
            assert (restored["w"] == state(step)["w"]).all()


@pytest.mark.parametrize(("way", "status"), [("end", 0), ("exit", 3), ("raise", 1), ("drop", 0)])
def test_the_exit_waits_for_the_save_in_flight_and_the_one_behind_it(tmp_path: Path, way: str, status: int) -> None:
    directory = str(tmp_path / "run")
    found, said = run(directory, way)
    assert found == status, said
    assert ("the program is wrong" in said) if way == "raise" else said == ""
    check(directory, [1, 2])


def test_a_thread_that_saves_while_the_program_ends(tmp_path: Path) -> None:
    directory = str(tmp_path / "run")
    status, said = run(directory, "thread")
    assert status == 0, said
    check(directory, [1, 3])  # 2 waited, and 3 has replaced it


def test_a_child_waits_for_nothing_of_its_parent_s(tmp_path: Path) -> None:
    directory = str(tmp_path / "run")
    status, said = run(directory, "fork", "when_told")
    assert status == 0, said
    check(directory, [1, 2])


def test_a_worker_of_multiprocessing_waits_for_its_save(tmp_path: Path) -> None:
    directory = str(tmp_path / "run")
    status, said = run(directory, "worker")
    assert status == 0, said
    check(directory, [1, 2])


def test_what_fails_in_the_exit_is_said(tmp_path: Path) -> None:
    directory = str(tmp_path / "run")
    status, said = run(directory, "end", "failing")
    assert status == 0
    for step in (1, 2):
        assert f"ckpt-{step} could not be saved in the background, and is lost: the disk is on fire" in said
    check(directory, [])


def test_ctrl_c_once_waits_for_the_save_all_the_same(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with subprocess.Popen(
        command(str(directory), "end", "when_told"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        interrupted(program)
        directory.with_name("run.go").touch()
        assert program.wait(60) == 0
    check(str(directory), [1, 2])


def test_ctrl_c_twice_gives_up_and_says_so(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with subprocess.Popen(
        command(str(directory), "end", "when_told"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        interrupted(program)
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 0
        assert program.stderr is not None
        said = program.stderr.read()
    assert f"{directory}/ckpt-1 and the save of {directory}/ckpt-2 is given up" in said
    check(str(directory), [])
    assert not directory.exists() or os.listdir(directory) == []


def interrupted(program: subprocess.Popen[str]) -> None:
    """Send Ctrl-C when it exits, and read what it asks then."""
    assert program.stdout is not None
    assert program.stderr is not None
    assert program.stdout.readline() == "saving\n"
    line_with(program.stderr, "the program's exit waits for the save of")
    program.send_signal(signal.SIGINT)
    line_with(program.stderr, "Ctrl-C again gives it up")


def line_with(stream: IO[str], text: str) -> None:
    for line in stream:
        if text in line:
            return
    raise AssertionError(f"it never said {text!r}")


def test_the_exit_waits_for_a_save_to_a_bucket(minio: ObjectServer, tmp_path: Path) -> None:
    job = f"""
import sys
from tests.manager import exiting_job
import cloudckpt as ckpt
exiting_job.tier.save_tensors = exiting_job.late
manager = ckpt.CheckpointManager(sys.argv[1], asynchronous=True, timeout=60, storage_options={minio.storage_options!r})
manager.save(1, exiting_job.state(1))
"""
    url = minio.fresh_url()
    done = subprocess.run(
        [sys.executable, "-c", job, url], cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with CheckpointManager(url, storage_options=minio.storage_options) as manager:
        restored, step = manager.restore_latest()
        assert step == 1
        assert (restored["w"] == state(1)["w"]).all()
