"""Train a small network on handwritten digits, and survive being killed.

Kill it whenever you like and run it again: it goes on from its newest whole checkpoint, and ends with exactly the
weights of a run that was never killed. It prints a line of JSON for each thing that happens.

    python examples/digits.py s3://bucket/digits
    python examples/digits.py a-folder
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import cloudckpt as ckpt

LAYERS = (64, 128, 64, 10)
STEPS, SAVE_EVERY = 240, 20
BATCH, RATE, MOMENTUM = 64, np.float32(0.1), np.float32(0.9)
TRAINING_IMAGES = 1500


def initial_state(seed: int = 0) -> dict[str, Any]:
    """Everything that the rest of the run depends on, and so everything that a checkpoint must hold."""
    rng = np.random.default_rng(seed)
    weights = [
        {
            "w": rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)).astype(np.float32),
            "b": np.zeros(fan_out, np.float32),
        }
        for fan_in, fan_out in pairwise(LAYERS)
    ]
    velocity = [{name: np.zeros_like(array) for name, array in layer.items()} for layer in weights]
    return {"weights": weights, "velocity": velocity, "random": rng.bit_generator.state}


def forward(weights: list[dict[str, Any]], images: np.ndarray) -> list[np.ndarray]:
    """The input of every layer, and last the logits."""
    values = [images]
    for layer in weights[:-1]:
        values.append(np.maximum(values[-1] @ layer["w"] + layer["b"], 0))
    values.append(values[-1] @ weights[-1]["w"] + weights[-1]["b"])
    return values


def train(state: dict[str, Any], images: np.ndarray, labels: np.ndarray) -> None:
    """One step of stochastic gradient descent with momentum on the cross entropy, in place."""
    *inputs, logits = forward(state["weights"], images)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = chances / chances.sum(axis=1, keepdims=True)
    gradient[np.arange(len(labels)), labels] -= 1
    gradient /= np.float32(len(labels))
    for layer, velocity, value in zip(state["weights"][::-1], state["velocity"][::-1], inputs[::-1], strict=True):
        slopes = {"w": value.T @ gradient, "b": gradient.sum(axis=0)}
        gradient = (gradient @ layer["w"].T) * (value > 0)
        for name, slope in slopes.items():
            velocity[name] = MOMENTUM * velocity[name] - RATE * slope
            layer[name] = layer[name] + velocity[name]


def accuracy(state: dict[str, Any], images: np.ndarray, labels: np.ndarray) -> float:
    """The share of the images that the network reads rightly."""
    return float((forward(state["weights"], images)[-1].argmax(axis=1) == labels).mean())


def report(event: str, **facts: object) -> None:
    """One line for whoever watches the job."""
    print(json.dumps({"event": event, **facts}), flush=True)


def main(directory: str) -> None:
    """Train to the end, from wherever an earlier run got to."""
    digits = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target
    rng = np.random.default_rng()

    with ckpt.CheckpointManager(directory, max_to_keep=3) as manager:
        state, step = manager.restore_latest(default=(initial_state(), 0))
        report("started", step=step)
        rng.bit_generator.state = state["random"]
        while step < STEPS:
            batch = rng.integers(0, TRAINING_IMAGES, BATCH)
            train(state, images[batch], labels[batch])
            step += 1
            if step % SAVE_EVERY == 0:
                state["random"] = rng.bit_generator.state
                report("saving", step=step)
                manager.save(step, state)
                report("saved", step=step)

    unseen = slice(TRAINING_IMAGES, None)
    report("finished", step=step, accuracy=accuracy(state, images[unseen], labels[unseen]))


if __name__ == "__main__":
    main(sys.argv[1])
