"""Kill a training job in the middle of its saves, start it again each time, and see that nothing was lost.

digits.py trains twice, straight to an S3 bucket: once undisturbed, once killed with SIGKILL at exactly chosen moments
of a save. At the end both must have the same weights, to the last bit.

    make demo
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import fsspec
import numpy as np
from bucket import sizes, what_is_left
from job import Job
from kills import KILLS, Outcome
from rich.console import Console
from rich.table import Table
from s3_server import S3Server, s3_server
from tripwire import Tripwire

import cloudckpt as ckpt

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def main() -> int:
    """Run the demo; 0 if every promise was kept."""
    console, start = Console(highlight=False), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cloudckpt-demo-") as folder, s3_server(Path(folder)) as server:
        bucket, name = fsspec.filesystem("s3", **server.storage_options), f"demo-{uuid.uuid4().hex[:8]}"
        console.print(f"S3 server: {server.name}")
        bucket.mkdir(name)
        try:
            kept = run(server, bucket, f"s3://{name}", console)
        finally:
            bucket.rm(name, recursive=True)
    console.print(f"{time.monotonic() - start:.0f} s in all")
    return 0 if kept else 1


def run(server: S3Server, bucket: AbstractFileSystem, root: str, console: Console) -> bool:
    """Train both ways, and show and compare what came of it; whether every promise was kept."""
    undisturbed, killed = f"{root}/undisturbed", f"{root}/killed"
    console.print(f"training into {undisturbed} undisturbed, into {killed} with {len(KILLS)} kills ...")
    finished = Job(undisturbed, server.environment()).finished()["finished"]
    outcomes, finished_too = train_through_kills(killed, server, bucket)
    equal = same_bits(load_latest(undisturbed, server), load_latest(killed, server))
    show_kills(console, outcomes)
    show_objects(console, bucket, killed)
    console.print(
        f"accuracy on unseen digits: {finished['accuracy']:.1%} undisturbed, {finished_too['accuracy']:.1%} killed"
    )
    console.print("the final states are " + ("[green]the same to the last bit[/]" if equal else "[red]DIFFERENT[/]"))
    return equal and all(outcome.as_promised for outcome in outcomes)


def train_through_kills(
    directory: str, server: S3Server, bucket: AbstractFileSystem
) -> tuple[list[Outcome], dict[str, Any]]:
    """Run the job once for every kill, and then to its end: what came of each kill, and the last job's report."""
    address = urlsplit(server.endpoint_url)
    started, left = [], []
    with Tripwire(str(address.hostname), address.port or 80) as wire:
        environment = server.environment(wire.url)
        for kill in KILLS:
            job = Job(directory, environment)
            wire.arm(kill.moment, job.kill)
            started.append(job.killed()["started"]["step"])
            left.append(what_is_left(bucket, directory))
        last = Job(directory, environment).finished()
        started.append(last["started"]["step"])
    outcomes = [Outcome(*facts) for facts in zip(KILLS, left, started[1:], strict=True)]
    return outcomes, last["finished"]


def load_latest(directory: str, server: S3Server) -> Any:
    """The newest checkpoint of a directory."""
    prefix = ckpt.latest_checkpoint(directory, storage_options=server.storage_options)
    assert prefix is not None, f"{directory} holds no checkpoint"
    return ckpt.load(prefix, storage_options=server.storage_options)


def same_bits(one: Any, other: Any) -> bool:
    """Whether two states are alike; arrays by their bytes, since 0.0 equals -0.0 and NaN nothing."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_bits(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return bool(one == other)


def show_kills(console: Console, outcomes: list[Outcome]) -> None:
    """A row for each kill: when it struck, what that left, and what the restart found."""
    table = Table("saving", "killed when", "left in the bucket", "restart found", title="Killed and started again")
    for outcome in outcomes:
        colour = "green" if outcome.as_promised else "red"
        found = f"[{colour}]step {outcome.found}[/]" + (
            "" if outcome.as_promised else f" not {outcome.kill.resumes_at}"
        )
        table.add_row(f"step {outcome.kill.saving}", outcome.kill.words, outcome.left, found)
    console.print(table)


def show_objects(console: Console, bucket: AbstractFileSystem, directory: str) -> None:
    """A row for each object of the directory."""
    table = Table("object", "bytes", title=f"{directory} at the end")
    table.columns[1].justify = "right"
    for name, size in sizes(bucket, directory).items():
        table.add_row(name, f"{size:,}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
