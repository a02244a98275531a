"""Measure cloudckpt beside others, in one run: python -m benchmarks [SUBJECT …]."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks import (
    asynchronous,
    gcs,
    growth,
    import_time,
    local_disk,
    managers,
    many,
    network,
    one_slice,
    peak_memory,
    requests,
    s3,
    saver,
)
from benchmarks.options import Options, parse_options
from benchmarks.report import Goal, Report, goals_table

if TYPE_CHECKING:
    from collections.abc import Callable

SUBJECTS: dict[str, Callable[[Options, Path], Report]] = {
    "import": import_time.measure,
    "local": local_disk.measure,
    "s3": s3.measure,
    "gcs": gcs.measure,
    "network": network.measure,
    "requests": requests.measure,
    "many": many.measure,
    "saver": saver.measure,
    "managers": managers.measure,
    "async": asynchronous.measure,
    "slice": one_slice.measure,
    "memory": peak_memory.measure,
    "growth": growth.measure,
}


def main() -> None:
    """Measure the subjects that were asked for, and print their tables, the goals last."""
    options = parse_options(list(SUBJECTS))
    console = Console(width=140)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: compare figures of one run only")
    goals: list[Goal] = []
    for subject in options.subjects:
        with tempfile.TemporaryDirectory(prefix="cloudckpt-bench-", dir=options.folder) as folder:
            report = SUBJECTS[subject](options, Path(folder))
        console.print(*report.tables)
        goals += report.goals
    if goals:
        console.print(goals_table(goals))


if __name__ == "__main__":
    main()
