"""How many requests a save and a restore of very many small tensors take, counted on their way to an S3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.bucket import ours, s3_bucket
from benchmarks.measure import Plan, check, make_arrays
from benchmarks.proxy import proxy
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.options import Options

__all__ = ["measure"]

COUNT = 10_000
SIZES = (1024, 4096)
"""Bytes of a tensor; the goals are for the largest."""


def measure(_options: Options, folder: Path) -> Report:
    """A row for each size; the probe of a bucket, once a process, is not among them."""
    table = Table("", title=f"Requests of {COUNT:,} small tensors", title_justify="left")
    table.add_column("save", justify="right")
    table.add_column("restore", justify="right")
    with s3_bucket(folder) as bucket, proxy(bucket.endpoint_url) as counting:
        for size in SIZES:
            plan = Plan(make_arrays(COUNT * size, COUNT), 1)
            contender = ours(plan, bucket.behind(counting.url))
            before, _ = counting.counts()
            contender.save(folder / str(size))
            between, _ = counting.counts()
            check(contender.name, plan.arrays, contender.restore(folder / str(size)))
            after, _ = counting.counts()
            saved, restored = between - before, after - between
            table.add_row(f"{size:,} bytes each", str(saved), str(restored))
    found = f"{saved} / {restored}"
    return Report([table], [Goal(f"requests to save / restore {COUNT:,} tensors of 4 KB in S3", "6 / 6", "", found)])
