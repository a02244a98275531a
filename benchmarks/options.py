"""What to measure, how big, how often, and where."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Plan, make_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Options", "parse_options"]

QUICK = {"size_mib": 128, "counts": [2000], "largest_count": 10_000, "largest_mib": 64, "rounds": 2}


@dataclass(frozen=True)
class Options:
    """The command line's."""

    subjects: Sequence[str]
    size_mib: int
    tensors: int
    counts: Sequence[int]
    largest_count: int
    largest_mib: int
    rounds: int
    folder: Path | None
    plot: Path | None

    def few_large_tensors(self) -> Plan:
        """What `local`, `s3`, `gcs` and `network` save."""
        return Plan(make_arrays(self.size_mib << 20, self.tensors), self.rounds)


def parse_options(subjects: Sequence[str]) -> Options:
    """Read the command line; all of the subjects by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    add = parser.add_argument
    add("subjects", nargs="*", default=list(subjects), help=f"any of {', '.join(subjects)}; all by default")
    add("--quick", action="store_true", help="a small run, to see that all works: its figures say little")
    add("--size-mib", type=int, default=1024, help="size of few large tensors (default: %(default)s)")
    add("--tensors", type=int, default=16, help="how many large tensors (default: %(default)s)")
    add(
        "--counts", type=int, nargs="+", default=[20_000, 100_000], help="how many small tensors (default: %(default)s)"
    )
    add("--largest-count", type=int, default=1_000_000, help="where memory and growth end (default: %(default)s)")
    add("--largest-mib", type=int, default=8192, help="where memory and growth end (default: %(default)s)")
    add("--rounds", type=int, default=3, help="the best of so many counts (default: %(default)s)")
    add("--folder", type=Path, help="a folder on the disk to measure (default: the temporary folder)")
    add("--plot", type=Path, help="the SVG to draw the growth into, such as benchmarks/growth.svg")
    arguments = parser.parse_args()
    if arguments.quick:
        parser.set_defaults(**QUICK)
        arguments = parser.parse_args()
    if unknown := set(arguments.subjects) - set(subjects):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    values = vars(arguments)
    del values["quick"]
    return Options(**values)
