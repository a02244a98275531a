"""A small checkpoint, for managers that save and restore one: a counter and one number."""

from __future__ import annotations

from typing import Any

import numpy as np

import cloudckpt as ckpt
from cloudckpt.variables.variable import Variable


class Counted:
    """Has what a manager needs of a `Checkpoint`."""

    def __init__(self, value: float = 0.0) -> None:
        self.save_counter = Variable(np.int64(0), name="save_counter")
        self.value = value
        self.options: list[Any] = []
        """what `write` was given"""
        self.synced = 0

    def write(self, path: str, options: Any = None, *, storage_options: Any = None) -> str:
        self.options.append(options)
        state = {"counter": int(self.save_counter.numpy()), "value": np.float64(self.value)}
        return ckpt.save(path, state, storage_options=storage_options)

    def restore(self, path: str, *, storage_options: Any = None) -> None:
        state = ckpt.load(path, storage_options=storage_options)
        self.save_counter.assign(state["counter"])
        self.value = float(state["value"])

    def sync(self) -> None:
        self.synced += 1
