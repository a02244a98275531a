"""Peak memory of a save and of a restore, beyond the arrays: each in a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks import fresh
from benchmarks.bucket import s3_bucket
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.options import Options

__all__ = ["measure"]

MIB = 1 << 20
SHAPES = ((16, 4 * MIB), (16, 64 * MIB), (1, 1024 * MIB), (20_000, 4096), (100_000, 4096), (1_000_000, 1024))
"""Tensors, and the bytes of each."""
IN_S3 = ((16, 64 * MIB), (10_000, 4096))


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
    in_s3 = bucket_table(limit, folder)
    local_goal = Goal("peak memory, as a share of 64 MiB + 200 bytes a tensor", "1", "", f"{worst:.2f}")
    return Report([table, *in_s3.tables], [local_goal, *in_s3.goals])


def bucket_table(limit: int, folder: Path) -> Report:
    """The same in S3."""
    table = Table("tensors", "bytes of each", title="The same in S3", title_justify="left")
    table.add_column("save", justify="right")
    table.add_column("restore", justify="right")
    worst = 0
    with s3_bucket(folder) as bucket:
        for count, size in IN_S3:
            if count * size <= limit:
                found = beyond_the_arrays(count, size, bucket.url("memory"), bucket.options)
                worst = max(worst, *found)
                table.add_row(f"{count:,}", f"{size:,}", *(f"{amount / MIB:.0f}" for amount in found))
    return Report([table], [Goal("peak memory with S3, MiB beyond the arrays", "256", "128", f"{worst / MIB:.0f}")])


def beyond_the_arrays(
    count: int, size: int, folder: Path | str, options: Mapping[str, Any] = fresh.UNSYNCED
) -> tuple[int, int]:
    """Bytes, saving and restoring. What a restore returns, a dict of arrays by name, is no extra."""
    saved = fresh.run("save", folder, count, size, options=options)
    restored = fresh.run("restore", folder, count, size, options=options)
    held = fresh.run("hold", folder, count, size, options=options)
    return saved.peak, max(0, restored.peak - held.peak)
