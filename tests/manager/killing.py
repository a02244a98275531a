"""A training job in a process of its own, killed a moment after it has announced something."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["run_and_kill"]

REPOSITORY = Path(__file__).parent.parent.parent


def run_and_kill(
    module: str,
    directory: str,
    options: dict[str, Any],
    *,
    announced: int,
    delay: float,
    how: signal.Signals = signal.SIGKILL,
) -> tuple[int, int]:
    """Run a job until it has announced so many steps, and kill it so many seconds later.

    Returns:
        The step that it restored, and the last one that it announced.
    """
    command = [sys.executable, "-m", module, directory, json.dumps(options)]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environ) as job:
        assert job.stdout is not None
        said = []
        for line in job.stdout:
            said.append(line)
            if len(said) == announced + 1:
                threading.Timer(delay, job.send_signal, [how]).start()
        assert job.wait() == -how, said
    # The kill may tear the last line.
    steps = [int(line.split()[1]) for line in said if line.endswith("\n")]
    return steps[0], steps[-1]
