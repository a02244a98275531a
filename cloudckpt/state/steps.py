"""Global steps in checkpoint names: `ckpt-100` is step 100 of the base name `ckpt`."""

from __future__ import annotations

import re

from cloudckpt.state.state_file import last_component

__all__ = ["MAX_STEP", "checkpoint_name", "step_of", "trailing_step"]

MAX_STEP = 2**63 - 1
"""TensorFlow's global step is an int64."""


def checkpoint_name(base_name: str, step: int) -> str:
    """The name of a step's checkpoint in its folder."""
    return f"{base_name}-{step}"


def step_of(path: str, base_name: str) -> int | None:
    """The step that a checkpoint's path ends in; None if it is of another base name, or written in another way."""
    match = re.fullmatch(rf"{re.escape(base_name)}-(0|[1-9][0-9]{{0,18}})", last_component(path))
    return int(match[1]) if match else None


def trailing_step(path: str) -> int | None:
    """The step that a checkpoint's path ends in, whatever its base name; None if it ends in none."""
    match = re.search(r"-(0|[1-9][0-9]{0,18})$", last_component(path))
    return int(match[1]) if match else None
