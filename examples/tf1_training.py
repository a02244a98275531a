"""A training script as they were written for TensorFlow 1, on TensorFlow's own or on ours: one import says which.

Kill it whenever you like and run it again: it goes on from its latest checkpoint, and ends with exactly the weights of
a run that was never killed. It prints a line of JSON for each thing that happens.

    python examples/tf1_training.py s3://bucket/job
    python examples/killed.py tf1_training.py        # kills it in the middle of its saves
"""

from __future__ import annotations

import json
import os
import sys

from softmax import CLASSES, PIXELS, RATE, accuracy, gradients

import cloudckpt.compat.v1 as tf  # for TensorFlow's own: import tensorflow.compat.v1 as tf

STEPS, SAVE_EVERY = 120, 20


def report(event: str, **facts: object) -> None:
    """One line for whoever watches the job."""
    print(json.dumps({"event": event, **facts}), flush=True)


def main(directory: str) -> None:
    """Train to the end, from wherever an earlier run got to."""
    tf.disable_v2_behavior()
    w = tf.get_variable("softmax/w", shape=[PIXELS, CLASSES], initializer=tf.zeros_initializer())
    b = tf.get_variable("softmax/b", shape=[CLASSES], initializer=tf.zeros_initializer())
    global_step = tf.Variable(0, name="global_step", trainable=False)
    next_step = global_step.assign_add(1)
    saver = tf.train.Saver(max_to_keep=3)

    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        state = tf.train.get_checkpoint_state(directory)
        if state is not None:
            saver.recover_last_checkpoints(list(state.all_model_checkpoint_paths))
            saver.restore(session, tf.train.latest_checkpoint(directory))
        step = int(session.run(global_step))
        report("started", step=step)
        while step < STEPS:
            weights, bias = session.run([w, b])
            slope_of_weights, slope_of_bias = gradients(weights, bias, step)
            w.load(weights - RATE * slope_of_weights, session)
            b.load(bias - RATE * slope_of_bias, session)
            step = int(session.run(next_step))
            if step % SAVE_EVERY == 0:
                report("saving", step=step)
                prefix = saver.save(session, os.path.join(directory, "model"), global_step=global_step)
                report("saved", step=step, prefix=prefix)
        report("finished", step=step, accuracy=accuracy(*session.run([w, b])))


if __name__ == "__main__":
    main(sys.argv[1])
