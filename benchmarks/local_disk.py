"""A local disk: few large tensors, by all who keep checkpoints there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.cloudckpt_ways import OURS, OURS_UNSYNCED, operations, tree
from benchmarks.measure import Outcome, compete, results_table
from benchmarks.plain_io import system_calls
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.options import Options

__all__ = ["measure"]

PEERS = (peers.TENSORFLOW, peers.SAFETENSORS, peers.TORCH_SAVE, peers.TORCH_DISTRIBUTED, peers.ORBAX)


def measure(options: Options, folder: Path) -> Report:
    """Save and restore on the disk that `folder` is on; what is restored is still in the page cache."""
    plan = options.few_large_tensors()
    contenders = [tree(plan, fsync=True), tree(plan, fsync=False), operations(plan)]
    plain = [system_calls(plan, fsync=True), system_calls(plan, fsync=False)]
    there, missing = peers.installed(plan, PEERS)
    outcomes = compete([*contenders, *plain, *there], plan, folder)
    return Report([results_table("Local disk", outcomes, plan, missing)], goals(outcomes))


def goals(outcomes: dict[str, Outcome]) -> list[Goal]:
    """Theirs by ours, in time."""
    ours, unsynced, plain = outcomes[OURS], outcomes[OURS_UNSYNCED], outcomes["pwrite, fsync; preadv"]
    written = plain.save.best / ours.save.best
    found = [Goal("save, by default, to pwrite and fsync", "0.9", "1", f"{written:.2f}")]
    if (theirs := outcomes.get("TensorFlow")) is not None:
        save, restore = theirs.save.best, theirs.restore.best
        found += [
            Goal("save, fsync=False, to SaveV2", "2.5", "3", f"{save / unsynced.save.best:.2f}"),
            Goal("save, by default, to SaveV2", "1", "1.2", f"{save / ours.save.best:.2f}"),
            Goal("restore to RestoreV2", "1.5", "2", f"{restore / restored(ours, unsynced):.2f}"),
        ]
    loop = restored(plain, outcomes["pwrite; preadv"]) / restored(ours, unsynced)
    return [*found, Goal("restore to a preadv loop", "", "0.9", f"{loop:.2f}")]


def restored(*outcomes: Outcome) -> float:
    """Seconds of the best restore: whether a save waited for the disk makes no difference to it."""
    return min(outcome.restore.best for outcome in outcomes)
