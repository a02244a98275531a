"""How time and memory grow with the number of tensors and with their size, as a table and as a plot."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks import fresh
from benchmarks.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.options import Options

__all__ = ["measure"]

MIB = 1 << 20
COUNTS = (100, 1000, 10_000, 100_000, 1_000_000)
SMALL = 1024
SIZES_MIB = (1, 8, 64, 512, 4096, 8192)
FEW = 16
NOTICEABLE = 0.05
"""Seconds; what takes less is mostly start and noise."""
STEEP = 1.15
"""An exponent beyond this is worse than linear."""


@dataclass(frozen=True)
class Point:
    """One number or size of tensors: seconds, and peak bytes beyond the arrays."""

    amount: int
    save: fresh.Result
    restore: fresh.Result


@dataclass(frozen=True)
class Series:
    """What grows, and what was measured."""

    title: str
    unit: str
    points: Sequence[Point]

    def table(self) -> Table:
        """A row a point; the exponent says how time grew from the row before: 1 is linear."""
        table = Table(self.unit, title=self.title, title_justify="left")
        for way in ("save", "restore"):
            for column in (f"{way} s", "exponent", "peak MiB beyond the arrays"):
                table.add_column(column, justify="right")
        for before, point in zip((None, *self.points), self.points, strict=False):
            cells = []
            for way in ("save", "restore"):
                result = getattr(point, way)
                steepness = "" if before is None else exponent(before, point, way)
                cells += [f"{result.seconds:.3f}", steepness, f"{result.peak / MIB:.0f}"]
            table.add_row(f"{point.amount:,}", *cells)
        return table


def exponent(before: Point, point: Point, way: str) -> str:
    """How steeply the time grew, on logarithmic scales."""
    seconds, more = getattr(before, way).seconds, getattr(point, way).seconds
    steepness = log(more / seconds) / log(point.amount / before.amount)
    return f"{steepness:.2f}" + (" !" if steepness > STEEP and more > NOTICEABLE else "")


def measure(options: Options, folder: Path) -> Report:
    """Two series: ever more tensors of 1 KiB, and 16 tensors that get ever larger."""
    counts = [count for count in COUNTS if count <= options.largest_count]
    sizes = [size for size in SIZES_MIB if size <= options.largest_mib]
    by_count = points([(count, SMALL) for count in counts], counts, folder)
    by_size = points([(FEW, size * MIB // FEW) for size in sizes], sizes, folder)
    series = [Series("Tensors of 1 KiB", "tensors", by_count), Series(f"{FEW} tensors", "MiB", by_size)]
    if options.plot is not None:
        draw(series, options.plot)
    return Report([one.table() for one in series])


def points(shapes: Sequence[tuple[int, int]], amounts: Sequence[int], folder: Path) -> list[Point]:
    """Each save and restore in a process of its own; small ones several times."""
    found = []
    for (count, size), amount in zip(shapes, amounts, strict=True):
        rounds = max(2, min(5, (4 << 30) // (count * (size + 10_000))))
        save = fresh.run("save", folder, count, size, rounds=rounds)
        restore = fresh.run("restore", folder, count, size, rounds=rounds)
        held = fresh.run("hold", folder, count, size)
        fresh.remove(fresh.checkpoint(folder, count, size))
        found.append(Point(amount, save, fresh.Result(restore.seconds, max(0, restore.peak - held.peak))))
    return found


def draw(series: Sequence[Series], file: Path) -> None:
    """An SVG on logarithmic scales: a row a series, time to the left and memory to the right."""
    from matplotlib import pyplot as plt

    figure, rows = plt.subplots(len(series), 2, figsize=(9, 3.2 * len(series)), layout="constrained")
    for (time, memory), one in zip(rows, series, strict=True):
        amounts = [point.amount for point in one.points]
        for way in ("save", "restore"):
            results = [getattr(point, way) for point in one.points]
            time.plot(amounts, [result.seconds for result in results], marker="o", label=way)
            memory.plot(amounts, [max(result.peak, MIB) / MIB for result in results], marker="o", label=way)
        last = max(one.points[-1].save.seconds, one.points[-1].restore.seconds)
        time.plot(amounts, [last * amount / amounts[-1] for amount in amounts], "k:", label="linear")
        time.set(title=one.title, xlabel=one.unit, ylabel="seconds")
        memory.set(title=one.title, xlabel=one.unit, ylabel="peak MiB beyond the arrays")
        for axes in (time, memory):
            axes.set(xscale="log", yscale="log")
            axes.grid(visible=True, alpha=0.3)
            axes.legend()
    figure.savefig(file, metadata={"Date": None})
