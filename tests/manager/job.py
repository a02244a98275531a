"""A training job that saves in a loop until somebody kills it: `python job.py <directory> <options as JSON>`.

It writes the step after each save, the moment from which it must not be lost. The state at a step follows from the
state at the step before, so that going on from anything else would show.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from cloudckpt import CheckpointManager


def advanced(state: dict[str, Any]) -> dict[str, Any]:
    """One step of training: each bit of the new state depends on each of the old one."""
    rng = np.random.default_rng(state["w"].view(np.uint64))
    return {"w": state["w"] * 0.5 + rng.normal(size=64), "step": state["step"] + 1}


def initial() -> dict[str, Any]:
    return {"w": np.arange(64, dtype=np.float64), "step": 0}


def announce(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(directory: str, options: dict[str, Any]) -> None:
    with CheckpointManager(directory, max_to_keep=2, storage_options=options) as manager:
        state, step = manager.restore_latest(default=(initial(), 0))
        announce(f"restored {step}")
        while True:
            state = advanced(state)
            manager.save(state["step"], state)
            announce(f"saved {state['step']}")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
