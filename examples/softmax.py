"""Softmax regression on handwritten digits, in NumPy: what the scripts that show savers train."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

PIXELS, CLASSES = 64, 10
BATCH, RATE = 64, np.float32(0.1)
TRAINING_IMAGES = 1500


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """All images and their labels."""
    data = load_digits()
    return (data.data / 16).astype(np.float32), data.target


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of one step. They depend on nothing else, so a resumed run sees what it would have seen."""
    images, labels = digits()
    chosen = np.random.default_rng(step).integers(0, TRAINING_IMAGES, BATCH)
    return images[chosen], labels[chosen]


def gradients(w: Any, b: Any, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The slopes of the cross entropy of a step's batch, along the weights and the bias."""
    images, labels = batch(step)
    logits = images @ w + b
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    slope = chances / chances.sum(axis=1, keepdims=True)
    slope[np.arange(BATCH), labels] -= 1
    slope /= np.float32(BATCH)
    return images.T @ slope, slope.sum(axis=0)


def accuracy(w: Any, b: Any) -> float:
    """The share of unseen images that are read rightly."""
    images, labels = (array[TRAINING_IMAGES:] for array in digits())
    return float(((images @ w + b).argmax(axis=1) == labels).mean())
