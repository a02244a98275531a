"""kill -9 before every system call of whatever writes: old or new, the next run works, the rest is collected."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

SCENARIOS = {
    "Save": 20,
    "Overwrite": 20,
    "SaveInSeveralFiles": 30,
    "SaveV1": 8,
    "Delete": 15,
    "Merge": 15,
    "MergeWithoutLinks": 15,
    "Manage": 40,
    "Resume": 10,
}
"""How often each is killed at least: once at each call."""
SAMPLE = {"SaveInSeveralFiles", "Merge", "Resume"}


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.faults) for name in SCENARIOS]
)
def test_killed_at_any_call(scenario: str, tmp_path: Path) -> None:
    job = [sys.executable, "-m", "tests.faults.call_kill_job", scenario, str(tmp_path)]
    done = subprocess.run(job, cwd=ROOT, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) >= SCENARIOS[scenario]
    assert len(set(found)) > 1
