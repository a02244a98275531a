"""Keras 3's variables over each of its backends: known by their path, read and assigned as the backend's arrays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frameworks import require_torch

PROGRAM = Path(__file__).parent / "keras_variables.py"


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_variables_are_known_by_their_path_read_and_assigned(backend: str) -> None:
    if backend == "torch":
        require_torch()
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(PROGRAM.parent.parent.parent)}
    run = subprocess.run([sys.executable, str(PROGRAM)], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    observed = json.loads(run.stdout.splitlines()[-1])
    assert observed["backend"] == backend
    assert observed["names"] == [
        *("sequential/d/kernel", "sequential/d/bias", "seed_generator/seed_generator_state"),
        *("adam/iteration", "adam/learning_rate"),
        *("adam/sequential_d_kernel_momentum", "adam/sequential_d_kernel_velocity"),
        *("adam/sequential_d_bias_momentum", "adam/sequential_d_bias_velocity"),
    ]
