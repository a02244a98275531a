"""The job of the soak: it trains a small network, saves often, and changes its arrays in place while saves run.

It prints a line of JSON for each thing that happens: where it started, which steps are committed, where it stopped.

    python examples/soak_job.py s3://bucket/job 2000
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

import cloudckpt as ckpt

if TYPE_CHECKING:
    from collections.abc import Generator

WIDTH, BATCH, RATE, MOMENTUM = 256, 16, np.float32(1e-3), np.float32(0.9)
SAVE_EVERY = 10


def initial_state() -> dict[str, Any]:
    """Everything that the rest of the run depends on."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 1 / 16, (WIDTH, WIDTH)).astype(np.float32) for name in ("first", "second")}
    velocity = {name: np.zeros_like(array) for name, array in weights.items()}
    return {"weights": weights, "velocity": velocity, "random": rng.bit_generator.state}


def train_one_step(state: dict[str, Any], rng: np.random.Generator) -> None:
    """Learn to give a vector back, in place: a save that runs behind must not see it."""
    weights, velocity = state["weights"], state["velocity"]
    inputs = rng.normal(size=(BATCH, WIDTH)).astype(np.float32)
    hidden = np.maximum(inputs @ weights["first"], 0)
    error = hidden @ weights["second"] - inputs
    slopes = {"second": hidden.T @ error, "first": inputs.T @ ((error @ weights["second"].T) * (hidden > 0))}
    for name, slope in slopes.items():
        velocity[name] *= MOMENTUM
        velocity[name] -= RATE * slope / BATCH
        weights[name] += velocity[name]
    state["random"] = rng.bit_generator.state


def report(event: str, **facts: object) -> None:
    """One line, written at once: none is lost or torn when the process is killed."""
    os.write(sys.stdout.fileno(), f"{json.dumps({'event': event, **facts})}\n".encode())


def train(restored: tuple[dict[str, Any], int] | None, steps: int) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """Train to the end, from wherever an earlier run got to."""
    state, step = restored or (initial_state(), 0)
    report("started", step=step)
    rng = np.random.default_rng()
    rng.bit_generator.state = state["random"]
    try:
        while step < steps:
            train_one_step(state, rng)
            step += 1
            yield step, state
    finally:
        report("stopped", step=step)


def announce(event: Any) -> None:
    """Tell that a step is committed."""
    if isinstance(event, ckpt.reports.SaveReport) and event.error is None:
        report("saved", step=event.step)


def main(directory: str, steps: int) -> int:
    """Run the job; the exit code."""
    logging.basicConfig(level=logging.ERROR)  # whoever kills it knows that it is preempted
    with ckpt.CheckpointManager(
        directory,
        max_to_keep=3,
        save_every_n_steps=SAVE_EVERY,
        asynchronous=True,
        preemption=[ckpt.preemption.Sigterm(grace=20.0)],
        on_event=announce,
    ) as manager:
        return ckpt.run(lambda restored: train(restored, steps), manager)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
