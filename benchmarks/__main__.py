"""Measure import, save and restore beside others, in one run: python -m benchmarks [import] [local] [s3]."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import import_time, local_disk, s3
from benchmarks.measure import Plan, make_arrays

SUBJECTS = ("import", "local", "s3")


def main() -> None:
    """Measure the subjects that were asked for, and print a table for each."""
    arguments = parse_arguments()
    console = Console(width=100)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: compare figures of one run only")
    if "import" in arguments.subjects:
        console.print(import_time.measure(arguments.rounds))
    if {"local", "s3"} & set(arguments.subjects):
        plan = Plan(make_arrays(arguments.size_mib << 20, arguments.tensors), arguments.rounds)
        with tempfile.TemporaryDirectory(prefix="cloudckpt-bench-", dir=arguments.folder) as folder:
            if "local" in arguments.subjects:
                console.print(local_disk.measure(plan, Path(folder)))
            if "s3" in arguments.subjects:
                console.print(s3.measure(plan, Path(folder)))


def parse_arguments() -> argparse.Namespace:
    """What to measure, how big, how often, and where."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", default=list(SUBJECTS), help=f"any of {', '.join(SUBJECTS)}; all by default"
    )
    parser.add_argument("--size-mib", type=int, default=1024, help="size of the state (default: %(default)s)")
    parser.add_argument("--tensors", type=int, default=16, help="how many tensors it has (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure (default: the temporary folder)")
    arguments = parser.parse_args()
    if unknown := set(arguments.subjects) - set(SUBJECTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    main()
