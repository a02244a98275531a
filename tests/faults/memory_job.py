"""Saves and loads a state far larger than its bound: `python -m tests.faults.memory_job KIND FOLDER`.

Prints the bytes of resident memory that the save and the load took beyond the state itself, at their peaks.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

import cloudckpt as ckpt

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20


def state(kind: str) -> dict[str, Any]:
    """About 600 MiB."""
    if kind == "contiguous":
        return {f"w{number}": np.full(5 * MIB, number, np.float64) for number in range(15)}
    if kind == "fortran":
        return {"w": np.ones((1 << 16, 1200), np.float64, order="F")}
    if kind == "fixed strings":
        return {"labels": np.asfortranarray(np.full((2000, 1200), "x" * 60 + "é", "U64"))}
    return {"blobs": np.array([bytes([number % 256]) * MIB for number in range(600)], object)}


@contextmanager
def watched() -> Iterator[list[int]]:
    """The resident memory that the block begins with, and its peak."""
    process, stop = psutil.Process(), threading.Event()
    resident = [process.memory_info().rss] * 2

    def watch() -> None:
        while not stop.wait(0.002):
            resident[1] = max(resident[1], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield resident
    finally:
        stop.set()
        watcher.join()


def main(kind: str, folder: str) -> None:
    tree: Any = state(kind)
    prefix = os.path.join(folder, "ckpt")
    options = {"fsync": False}
    with watched() as saving:
        ckpt.save(prefix, tree, storage_options=options)
    del tree
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with watched() as loading:
        tree = ckpt.load(prefix, storage_options=options)
    after = psutil.Process().memory_info().rss
    assert tree
    print(json.dumps({"save": saving[1] - saving[0], "load": loading[1] - after}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
