"""One save or restore in a fresh process: how long it takes, and its peak memory.

Run as a program it does the work and prints the result:
python -m benchmarks.fresh save FOLDER COUNT BYTES ROUNDS OPTIONS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import cloudckpt as ckpt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Result", "checkpoint", "remove", "run"]

Way = Literal["save", "restore", "hold"]
UNSYNCED = {"fsync": False}


@dataclass(frozen=True)
class Result:
    """What one process measured."""

    seconds: float
    """the best of its rounds"""
    peak: int
    """bytes of memory that the first round needed at most, beyond what there was before it"""


def run(
    way: Way,
    folder: Path | str,
    count: int,
    size: int,
    *,
    rounds: int = 1,
    options: Mapping[str, Any] = UNSYNCED,
) -> Result:
    """Save or restore `count` float32 tensors of `size` bytes each, or only hold as many as a restore returns.

    In a bucket, which `folder` may be in, there must be one round.
    """
    numbers = [str(count), str(size), str(rounds)]
    command = [sys.executable, "-m", __name__, way, str(folder), *numbers, json.dumps(dict(options))]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return Result(**json.loads(printed))


def checkpoint(folder: Path | str, count: int, size: int) -> str:
    """The prefix that is saved to and restored from."""
    return f"{folder}/{count}-of-{size}"


def main(way: Way, folder: str, count: int, size: int, *, rounds: int, options: dict[str, Any]) -> Result:
    """What the fresh process does."""
    warm = ckpt.save(f"{folder}/warm", {"x": np.zeros(4)}, storage_options=options)
    ckpt.load(warm, storage_options=options)  # lazy imports
    arrays = make(count, size) if way == "save" else {}
    prefix = checkpoint(folder, count, size)
    before, seconds, peak = reset_peak(), inf, 0
    for number in range(rounds):
        if way == "save" and number:
            remove(prefix)
        os.sync()
        start = time.perf_counter()
        if way == "save":
            ckpt.save(prefix, arrays, storage_options=options)
        else:
            arrays = ckpt.load(prefix, storage_options=options) if way == "restore" else make(count, size)
        seconds = min(seconds, time.perf_counter() - start)
        peak = peak if number else memory("VmHWM") - before
        if way != "save":
            arrays.clear()
    return Result(seconds, peak)


def remove(prefix: str) -> None:
    """Delete a local checkpoint's files, so that a save replaces none."""
    for file in Path(prefix).parent.glob(f"{Path(prefix).name}.*"):
        file.unlink()


def make(count: int, size: int) -> dict[str, Any]:
    """Arrays whose memory is really there."""
    return {f"layer{number:07}/w": np.full(size // 4, number, np.float32) for number in range(count)}


def reset_peak() -> int:
    """Let the kernel forget the peak so far (Linux only). Returns the memory in use, in bytes."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return memory("VmRSS")


def memory(field: str) -> int:
    """A line of this process's status, in bytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(f"{field}:"))


if __name__ == "__main__":
    chosen, place, tensors, each, times, given = sys.argv[1:]
    result = main(chosen, place, int(tensors), int(each), rounds=int(times), options=json.loads(given))  # type: ignore[arg-type]  # from `run`
    print(json.dumps(asdict(result)))
