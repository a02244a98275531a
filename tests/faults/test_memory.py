"""Memory beyond the user's own arrays is bounded, whatever the size of the state, its layout and its kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BOUND = 256 << 20


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only there does glibc give freed memory back on demand"
)
@pytest.mark.parametrize("kind", ["contiguous", "fortran", "fixed strings", "bytes"])
def test_a_state_of_600_mib(tmp_path: Path, kind: str) -> None:
    job = [sys.executable, "-m", "tests.faults.memory_job", kind, str(tmp_path)]
    done = subprocess.run(job, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=200)
    taken = json.loads(done.stdout)
    for path in tmp_path.iterdir():
        path.unlink()  # pytest keeps the folders of some runs
    assert taken["save"] < BOUND
    assert taken["load"] < BOUND
