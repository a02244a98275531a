"""Rounds of saving and restoring by several contenders, and the table of their best."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

__all__ = ["Contender", "Outcome", "Plan", "Timing", "compete", "make_arrays", "results_table", "timed"]


def as_they_are(restored: Any) -> Any:
    """For contenders whose `restore` returns NumPy arrays by name."""
    return restored


@dataclass(frozen=True)
class Contender:
    """One way to save arrays and get them back; both are given a folder of their own, and a name for it."""

    name: str
    save: Callable[[Path], object]
    restore: Callable[[Path], Any]
    arrays: Callable[[Any], Arrays] = as_they_are
    """NumPy arrays of what `restore` returned, to be checked; not timed"""
    durable: bool = True
    """whether a save ends only when the disk has the bytes; contenders are compared with ours of the same kind"""


@dataclass(frozen=True)
class Plan:
    """What all contenders save, and how often."""

    arrays: Arrays
    rounds: int

    @property
    def gigabytes(self) -> float:
        """The size of the state in 10^9 bytes."""
        return self.nbytes / 1e9

    @property
    def gibibytes(self) -> float:
        """The same in 2^30 bytes."""
        return self.nbytes / (1 << 30)

    @property
    def nbytes(self) -> int:
        """The same in bytes."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass
class Timing:
    """What one way took over the rounds, in seconds."""

    first: float = math.inf
    """wall, in the first round: nothing was warm"""
    best: float = math.inf
    """wall, in the best round"""
    processor: float = math.inf
    """processor time of this process in its best round"""
    total: float = 0.0
    """wall, all rounds together"""

    def add(self, wall: float, processor: float) -> None:
        """Take another round."""
        if self.first == math.inf:
            self.first = wall
        self.best, self.processor = min((self.best, self.processor), (wall, processor))
        self.total += wall


@dataclass
class Outcome:
    """How one contender did."""

    contender: Contender
    save: Timing = field(default_factory=Timing)
    restore: Timing = field(default_factory=Timing)


def make_arrays(size: int, count: int) -> dict[str, NDArray[np.float32]]:
    """`count` float32 arrays of random numbers, `size` bytes together."""
    rng = np.random.default_rng(0)
    return {f"layer{i:06}/w": rng.random(size // count // 4, dtype=np.float32) for i in range(count)}


def compete(
    contenders: Sequence[Contender], plan: Plan, folder: Path, clean: Callable[[Path], None] = shutil.rmtree
) -> dict[str, Outcome]:
    """Let them take turns, in another order each round and each time in an empty folder, which `clean` removes."""
    outcomes = {contender.name: Outcome(contender) for contender in contenders}
    for turn in range(plan.rounds):
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            take_turn(outcomes[contender.name], plan, folder, clean)
    return outcomes


def take_turn(outcome: Outcome, plan: Plan, folder: Path, clean: Callable[[Path], None]) -> None:
    """One save and one restore."""
    contender = outcome.contender
    here = Path(tempfile.mkdtemp(dir=folder))
    wall, processor, _ = timed(lambda: contender.save(here))
    outcome.save.add(wall, processor)
    wall, processor, restored = timed(lambda: contender.restore(here), memory=plan.nbytes)
    outcome.restore.add(wall, processor)
    check(contender.name, plan.arrays, contender.arrays(restored))
    del restored  # not to stand in the next one's way
    clean(here)


def timed(work: Callable[[], Any], *, memory: int = 0) -> tuple[float, float, Any]:
    """Wall and processor seconds, and the result; what earlier work left to be written to disks is written first.

    Args:
        work: what is measured.
        memory: bytes that it will take. They are touched and given back before, so that they are this machine's: where
            it is a virtual one, getting them back from its host takes many times as long as all else, and who has to
            would be chance.
    """
    os.sync()
    np.ones(memory, np.uint8)
    processor, wall = time.process_time(), time.perf_counter()
    result = work()
    return time.perf_counter() - wall, time.process_time() - processor, result


def check(name: str, expected: Arrays, arrays: Arrays) -> None:
    """A contender that returns other arrays than it was given is out."""
    for key, array in expected.items():
        if not np.array_equal(array, arrays[key]):
            raise AssertionError(f"{name} restored another {key}")


def results_table(title: str, outcomes: Mapping[str, Outcome], plan: Plan, missing: Iterable[str] = ()) -> Table:
    """A row for each contender; a ratio above 1 means that it was slower than ours of its kind."""
    size = f"{plan.gigabytes:.2f} GB, {len(plan.arrays):,} tensors, best of {plan.rounds}"
    table = Table("", title=f"{title}: {size}", title_justify="left")
    for way in ("save", "restore"):
        for column in (f"{way} first s", "best s", "GB/s", "CPU s", "time / ours"):
            table.add_column(column, justify="right")
    ours: dict[bool, Outcome] = {}
    for name, outcome in outcomes.items():
        beside = ours.setdefault(outcome.contender.durable, outcome)  # ours come first
        cells = []
        for timing, our_timing in ((outcome.save, beside.save), (outcome.restore, beside.restore)):
            cells += [f"{timing.first:.2f}", f"{timing.best:.2f}", f"{plan.gigabytes / timing.best:.2f}"]
            cells += [f"{timing.processor:.2f}", f"{timing.best / our_timing.best:.2f}"]
        table.add_row(name, *cells)
    for name in missing:
        table.add_row(f"{name}: not installed")
    return table
