"""A JAX job on a machine that may be taken away: it saves, leaves in time, and goes on where it was.

    python examples/resume_jax.py gs://bucket/job

Its exit code tells a scheduler what to do: 0, it is done; 75, it was preempted and wants to be started again.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import cloudckpt as ckpt

if TYPE_CHECKING:
    from collections.abc import Generator

STEPS, SAVE_EVERY = 400, 10


class TrainState(NamedTuple):
    """Everything that the rest of the run depends on. Any pytree will do."""

    weights: jax.Array
    velocity: jax.Array
    key: jax.Array


def initial_state() -> TrainState:
    """The state of a run that begins, and the types that a restored one comes back with."""
    return TrainState(jnp.zeros(32), jnp.zeros(32), jax.random.key(0))


def loss(weights: jax.Array, examples: jax.Array) -> jax.Array:
    """Least squares."""
    return jnp.mean(jnp.square(examples @ (weights - jnp.linspace(-1, 1, 32))))


@jax.jit
def update(state: TrainState) -> TrainState:
    """One step of gradient descent with momentum."""
    key, own = jax.random.split(state.key)
    slope = jax.grad(loss)(state.weights, jax.random.normal(own, (256, 32)))
    velocity = 0.9 * state.velocity - 0.02 * slope
    return TrainState(state.weights + velocity, velocity, key)


def train(restored: tuple[TrainState, int] | None) -> Generator[tuple[int, TrainState], None, None]:
    """Yields after each step what a checkpoint of it would hold."""
    state, step = restored or (initial_state(), 0)
    while step < STEPS:
        state = update(state)
        step += 1
        yield step, state
    print(f"weights of SHA-256 {hashlib.sha256(np.asarray(state.weights)).hexdigest()}")


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
