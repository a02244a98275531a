"""A NumPy job on a machine that may be taken away: it saves, leaves in time, and goes on where it was.

    python examples/resume_numpy.py s3://bucket/job

Its exit code tells a scheduler what to do: 0, it is done; 75, it was preempted and wants to be started again.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

import cloudckpt as ckpt

if TYPE_CHECKING:
    from collections.abc import Generator

STEPS, SAVE_EVERY = 400, 10
TARGET = np.linspace(-1, 1, 32, dtype=np.float32)


def initial_state() -> dict[str, Any]:
    """Everything that the rest of the run depends on: weights, the optimiser's state, random numbers."""
    rng = np.random.default_rng(0)
    return {"weights": np.zeros(32, np.float32), "velocity": np.zeros(32, np.float32), "rng": rng}


def train(restored: tuple[dict[str, Any], int] | None) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """Least squares by momentum, in place; yields after each step what a checkpoint of it would hold."""
    state, step = restored or (initial_state(), 0)
    while step < STEPS:
        examples = state["rng"].normal(size=(256, 32)).astype(np.float32)
        error = examples @ (state["weights"] - TARGET)
        state["velocity"] = np.float32(0.9) * state["velocity"] - np.float32(1e-4) * (examples.T @ error)
        state["weights"] += state["velocity"]
        step += 1
        yield step, state
    weights = state["weights"]
    print(f"loss {np.square(weights - TARGET).sum():.2e}, weights of SHA-256 {hashlib.sha256(weights).hexdigest()}")


def main(directory: str) -> int:
    """Train, from where the newest whole checkpoint is; returns the exit code."""
    with ckpt.CheckpointManager(
        directory,
        save_every_n_steps=SAVE_EVERY,
        asynchronous=True,
        preemption=ckpt.preemption.detect(),
    ) as manager:
        return ckpt.run(train, manager, like=initial_state())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
