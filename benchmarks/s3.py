"""An S3 server on this machine: few large tensors, by ours, by bare requests, and by all who keep such things there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks import peers, s3_peers
from benchmarks.bucket import ours, s3_bucket
from benchmarks.measure import compete, results_table
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.measure import Outcome
    from benchmarks.options import Options

__all__ = ["beside", "measure"]

PEERS = (
    s3_peers.PLAIN,
    s3_peers.OBSTORE,
    s3_peers.BOTO3,
    s3_peers.SAFETENSORS_FILE,
    s3_peers.TORCH_DISTRIBUTED,
)
GOALS = {
    "http.client": (("0.9", "1"), ("0.8", "0.95")),
    "obstore": (("1", "1.1"), ("1.5", "2.5")),
    "torch DCP over s3fs": (("3", "4"), ("5", "10")),
    "safetensors, then boto3": (("2", "3"), ("3", "7")),
}
"""Their time by ours: at least, and aimed at; of a save and of a restore."""


def measure(options: Options, folder: Path) -> Report:
    """Save and restore over plain HTTP; the server takes its share of the same processors and disk."""
    plan = options.few_large_tensors()
    with s3_bucket(folder) as bucket:
        of_this_bucket = [(name, module, partial(make, bucket=bucket)) for name, module, make in PEERS]
        there, missing = peers.installed(plan, of_this_bucket)
        outcomes = compete([ours(plan, bucket), *there], plan, folder, bucket.clean)
        own, table = outcomes["cloudckpt"], results_table(bucket.server, outcomes, plan, missing)
        save, restore = (timing.processor / plan.gibibytes for timing in (own.save, own.restore))
        processor = [
            Goal("CPU seconds of a save to S3, a GiB", "1", "0.5", f"{save:.2f}"),
            Goal("CPU seconds of a restore from S3, a GiB", "1.5", "1", f"{restore:.2f}"),
        ]
        return Report([table], beside(outcomes, "S3", GOALS) + processor)


def beside(
    outcomes: Mapping[str, Outcome], place: str, goals: Mapping[str, tuple[tuple[str, str], tuple[str, str]]]
) -> list[Goal]:
    """Theirs by ours, in time, for those that took part."""
    own, found = outcomes["cloudckpt"], []
    for name, (save, restore) in goals.items():
        if (theirs := outcomes.get(name)) is not None:
            found += [
                Goal(f"save to {place}, to {name}", *save, f"{theirs.save.best / own.save.best:.2f}"),
                Goal(f"restore from {place}, to {name}", *restore, f"{theirs.restore.best / own.restore.best:.2f}"),
            ]
    return found
