"""Peak memory of a save and of a restore, beyond the arrays: each in a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks import fresh
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.options import Options

__all__ = ["measure"]

MIB = 1 << 20
SHAPES = ((16, 4 * MIB), (16, 64 * MIB), (1, 1024 * MIB), (20_000, 4096), (100_000, 4096), (1_000_000, 1024))
"""Tensors, and the bytes of each."""


def measure(options: Options, folder: Path) -> Report:
    """A row for each number and size of tensors."""
    limit = options.largest_mib << 20
    table = Table("tensors", "bytes of each", title="Peak memory beyond the arrays, MiB", title_justify="left")
    for column in ("64 MiB + 200 bytes a tensor", "save", "restore"):
        table.add_column(column, justify="right")
    worst = 0.0
    for count, size in SHAPES:
        if count * size > limit or count > options.largest_count:
            continue
        allowed = 64 * MIB + 200 * count
        saved, restored = beyond_the_arrays(count, size, folder)
        worst = max(worst, saved / allowed, restored / allowed)
        table.add_row(f"{count:,}", f"{size:,}", *(f"{amount / MIB:.0f}" for amount in (allowed, saved, restored)))
        fresh.remove(fresh.checkpoint(folder, count, size))
    return Report([table], [Goal("peak memory, as a share of 64 MiB + 200 bytes a tensor", "1", "", f"{worst:.2f}")])


def beyond_the_arrays(count: int, size: int, folder: Path) -> tuple[int, int]:
    """Bytes, saving and restoring. What a restore returns, a dict of arrays by name, is no extra."""
    saved = fresh.run("save", folder, count, size)
    restored, held = fresh.run("restore", folder, count, size), fresh.run("hold", folder, count, size)
    return saved.peak, max(0, restored.peak - held.peak)
