"""The training job as a child process: started, killed, and what it reported."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# The same sums in the same order: only then can two runs end with the same bits.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# The demo's own tables tell what each restart passed over.
QUIET = {"PYTHONWARNINGS": "ignore"}


class Job:
    """One run of a training script, from its start."""

    def __init__(self, directory: str, environment: Mapping[str, str], script: str = "digits.py") -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(script)), directory],
            stdout=subprocess.PIPE,
            env={**environment, **ONE_THREAD, **QUIET},
            text=True,
        )

    def kill(self) -> None:
        """SIGKILL, and wait until it is dead."""
        self._process.kill()
        self._process.wait()

    def killed(self) -> dict[str, dict[str, Any]]:
        """Wait for a job that is to be killed: its last report of each kind."""
        return self._reports(-signal.SIGKILL)

    def finished(self) -> dict[str, dict[str, Any]]:
        """Wait for a job that is to end well: its last report of each kind."""
        return self._reports(0)

    def _reports(self, expected: int) -> dict[str, dict[str, Any]]:
        output, _ = self._process.communicate()
        if self._process.returncode != expected:
            raise SystemExit(
                f"the job ended with status {self._process.returncode}, not {expected}; it said:\n{output}"
            )
        return {report["event"]: report for report in map(json.loads, output.splitlines())}
