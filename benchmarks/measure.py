"""Rounds of saving and restoring by several contenders, and the table of their best."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Contender:
    """One way to save arrays and get them back; both are given a folder of their own, and a name for it."""

    name: str
    save: Callable[[Path], object]
    restore: Callable[[Path], Arrays]


@dataclass(frozen=True)
class Plan:
    """What all contenders save, and how often."""

    arrays: Arrays
    rounds: int

    @property
    def gigabytes(self) -> float:
        """The size of the state in 10^9 bytes."""
        return sum(array.nbytes for array in self.arrays.values()) / 1e9


@dataclass
class Best:
    """The shortest time of either way, and the processor time that this process spent on it (seconds)."""

    save: tuple[float, float] = (math.inf, math.inf)
    restore: tuple[float, float] = (math.inf, math.inf)


def make_arrays(size: int, count: int) -> dict[str, NDArray[np.float32]]:
    """`count` float32 arrays of random numbers, `size` bytes together."""
    rng = np.random.default_rng(0)
    return {f"layer{i:02}/w": rng.random(size // count // 4, dtype=np.float32) for i in range(count)}


def compete(title: str, contenders: Sequence[Contender], plan: Plan, folder: Path) -> Table:
    """Let them take turns, in another order each round and each time in an empty folder; ratios are to the first."""
    best: dict[str, Best] = {contender.name: Best() for contender in contenders}
    for turn in range(plan.rounds):
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            here = Path(tempfile.mkdtemp(dir=folder))
            saved, _ = timed(lambda way=contender, here=here: way.save(here))
            restored, arrays = timed(lambda way=contender, here=here: way.restore(here))
            check(contender.name, plan.arrays, arrays)
            del arrays  # not to stand in the next one's way
            shutil.rmtree(here)
            so_far = best[contender.name]
            so_far.save, so_far.restore = min(so_far.save, saved), min(so_far.restore, restored)
    return table_of(f"{title}: {plan.gigabytes:.2f} GB, {len(plan.arrays)} tensors, best of {plan.rounds}", best, plan)


def timed(work: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Wall and processor seconds, and the result; what earlier work left to be written to disks is written first."""
    os.sync()
    processor, wall = time.process_time(), time.perf_counter()
    result = work()
    return (time.perf_counter() - wall, time.process_time() - processor), result


def check(name: str, expected: Arrays, arrays: Arrays) -> None:
    """A contender that returns other arrays than it was given is out."""
    for key, array in expected.items():
        if not np.array_equal(array, arrays[key]):
            raise AssertionError(f"{name} restored another {key}")


def table_of(title: str, best: Mapping[str, Best], plan: Plan) -> Table:
    """A row for each contender; a ratio above 1 means that it was slower than ours."""
    table = Table("", title=title, title_justify="left")
    for way in ("save", "restore"):
        for column in (f"{way} GB/s", "CPU s", "time / ours"):
            table.add_column(column, justify="right")
    ours = next(iter(best.values()))
    for name, of_it in best.items():
        cells = []
        for (wall, processor), (our_wall, _) in ((of_it.save, ours.save), (of_it.restore, ours.restore)):
            cells += [f"{plan.gigabytes / wall:.2f}", f"{processor:.1f}", f"{wall / our_wall:.2f}"]
        table.add_row(name, *cells)
    return table
