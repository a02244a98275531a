"""A short soak: what `make soak` does hundreds of times, a few times on each store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers import ObjectServer

ROOT = Path(__file__).parent.parent
KILLS = 6
SETTINGS = {"SOAK_KILLS": str(KILLS), "SOAK_STEPS": "500"}


def test_a_job_that_is_killed_at_random_moments_loses_nothing(minio: ObjectServer) -> None:
    environment = os.environ | SETTINGS | {"CLOUDCKPT_TEST_S3_ENDPOINT": minio.endpoint_url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / "soak.py")]
    soak = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert soak.returncode == 0, soak.stdout + soak.stderr
    assert soak.stderr == ""
    assert re.search(r"^seed: SOAK_SEED=\d+$", soak.stdout, re.MULTILINE)
    assert re.findall(r": (\d+) kills", soak.stdout) == [str(KILLS), str(KILLS)]
    assert re.findall(r"steps lost beyond the last announced save: (\d+)", soak.stdout) == ["0", "0"]
    assert all(int(count) > 0 for count in re.findall(r"saves announced: (\d+)", soak.stdout))
