"""Writes, as JSON, the signal that ends TensorFlow's process in each misuse that is said to crash it; 0 for none.

A program of its own: each call is made in a child that is forked before TensorFlow has started a thread.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import tensorflow as tf

from tests.ops.misuses import CASES, CRASHES, IDS, TABLES, Misuse


def signal_of(table: str, misuse: Misuse, path: str) -> int:
    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, sys.stderr.fileno())
        call(table, misuse, path)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def call(table: str, misuse: Misuse, path: str) -> None:
    """Never returns."""
    try:
        ops: Any = tf.raw_ops
        TABLES[table][0](ops, path)
        misuse.call(ops, path)
    finally:
        os._exit(0)


if __name__ == "__main__":
    folder = sys.argv[1]
    signals = {
        case_id: signal_of(table, misuse, os.path.join(folder, f"{number}"))
        for number, (case_id, (table, misuse)) in enumerate(zip(IDS, CASES, strict=True))
        if misuse.theirs == CRASHES
    }
    sys.stdout.write(json.dumps(signals))
