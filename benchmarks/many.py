"""Very many small tensors: save, restore, and listing their names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.table import Table

import cloudckpt as ckpt
from benchmarks import peers
from benchmarks.cloudckpt_ways import OURS_UNSYNCED, operations, tree
from benchmarks.measure import Plan, Timing, compete, make_arrays, results_table, timed
from benchmarks.report import Goal, Report
from cloudckpt import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.options import Options

__all__ = ["measure"]

TENSOR = 4096
PEERS = (peers.TENSORFLOW, peers.SAFETENSORS)


def measure(options: Options, folder: Path) -> Report:
    """Tensors of 4 KB, without waiting for the disk; listing is of the largest count."""
    report = Report()
    for count in options.counts:
        plan = Plan(make_arrays(count * TENSOR, count), options.rounds)
        there, missing = peers.installed(plan, PEERS)
        outcomes = compete([tree(plan, fsync=False), operations(plan), *there], plan, folder)
        report.tables.append(results_table("Many small tensors", outcomes, plan, missing))
        if (theirs := outcomes.get("TensorFlow")) is not None:
            ours = outcomes[OURS_UNSYNCED]
            save, restore = theirs.save.best / ours.save.best, theirs.restore.best / ours.restore.best
            report.goals.append(Goal(f"save {count:,} tensors of 4 KB", "1", "2", f"{save:.2f}"))
            report.goals.append(Goal(f"restore {count:,} tensors of 4 KB", "1", "2", f"{restore:.2f}"))
    listing = list_names(plan, folder)
    return Report(report.tables + listing.tables, report.goals + listing.goals)


def list_names(plan: Plan, folder: Path) -> Report:
    """All names with their shapes, as TensorFlow's reader gives them."""
    prefix = ckpt.save(str(folder / "named"), plan.arrays, storage_options={"fsync": False})
    ways: dict[str, Callable[[], object]] = {
        "cloudckpt.train.load_checkpoint": lambda: train.load_checkpoint(prefix).get_variable_to_shape_map()
    }
    if peers.is_installed("tensorflow"):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        ways["tf.train.load_checkpoint"] = lambda: tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    timings = {name: Timing() for name in ways}
    for _ in range(plan.rounds + 2):
        for name, way in ways.items():
            wall, processor, _ = timed(way)
            timings[name].add(wall, processor)
    ours, *theirs = timings.values()
    table = Table("", title=f"Names and shapes of {len(plan.arrays):,} tensors", title_justify="left")
    for column in ("first s", "best s", "time / ours"):
        table.add_column(column, justify="right")
    for name, timing in timings.items():
        table.add_row(name, f"{timing.first:.2f}", f"{timing.best:.2f}", f"{timing.best / ours.best:.2f}")
    found = [f"{timing.best / ours.best:.2f}" for timing in theirs]
    return Report([table], [Goal(f"names of {len(plan.arrays):,} tensors", "1", "", ratio) for ratio in found])
