"""The same training without a graph or a session: variables of our own, saved by name with `eager.Saver`.

Kill it whenever you like and run it again: it goes on from its latest checkpoint, and ends with exactly the weights of
a run that was never killed. It prints a line of JSON for each thing that happens.

    python examples/eager_training.py s3://bucket/job
    python examples/killed.py eager_training.py      # kills it in the middle of its saves
"""

from __future__ import annotations

import json
import sys

import numpy as np
from softmax import CLASSES, PIXELS, RATE, accuracy, gradients

import cloudckpt as ckpt

STEPS, SAVE_EVERY = 120, 20


def report(event: str, **facts: object) -> None:
    """One line for whoever watches the job."""
    print(json.dumps({"event": event, **facts}), flush=True)


def main(directory: str) -> None:
    """Train to the end, from wherever an earlier run got to."""
    w = ckpt.Variable(np.zeros((PIXELS, CLASSES), np.float32), name="softmax/w")
    b = ckpt.Variable(np.zeros(CLASSES, np.float32), name="softmax/b")
    step = ckpt.Variable(0, name="global_step")
    saver = ckpt.eager.Saver([w, b, step])

    latest = ckpt.latest_checkpoint(directory)
    if latest is not None:
        saver.restore(latest)
    report("started", step=int(step))
    while int(step) < STEPS:
        slope_of_weights, slope_of_bias = gradients(w.numpy(), b.numpy(), int(step))
        w.assign_sub(RATE * slope_of_weights)
        b.assign_sub(RATE * slope_of_bias)
        step.assign_add(1)
        if int(step) % SAVE_EVERY == 0:
            report("saving", step=int(step))
            prefix = saver.save(f"{directory}/model", global_step=step)
            report("saved", step=int(step), prefix=prefix)
    report("finished", step=int(step), accuracy=accuracy(w.numpy(), b.numpy()))


if __name__ == "__main__":
    main(sys.argv[1])
