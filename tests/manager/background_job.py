"""A training job that saves behind its own back until somebody kills it: `python background_job.py DIRECTORY OPTIONS`.

It writes its state in place, as the next step of training does, while the last one is still being saved. A step is
announced when it must not be lost any more: when `wait` has returned, or the next `save`, which waits, too.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from cloudckpt import CheckpointManager
from tests.manager.job import announce

ELEMENTS = 1 << 18
"""of 8 bytes: large enough that a kill finds a save under way"""


def initial() -> dict[str, Any]:
    return {"w": np.arange(ELEMENTS, dtype=np.float64), "step": 0}


def advance(state: dict[str, Any]) -> None:
    """One step of training, in place."""
    rng = np.random.default_rng(state["w"][:64].view(np.uint64))
    state["w"] *= 0.5
    state["w"] += rng.normal(size=ELEMENTS)
    state["step"] += 1


def main(directory: str, options: dict[str, Any]) -> None:
    with CheckpointManager(directory, max_to_keep=2, asynchronous=True, storage_options=options) as manager:
        state, step = manager.restore_latest(default=(initial(), 0))
        announce(f"restored {step}")
        while True:
            advance(state)
            manager.save(state["step"], state)
            if state["step"] % 3:
                announce(f"saved {state['step'] - 1}")
            else:
                manager.wait()
                announce(f"saved {state['step']}")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
