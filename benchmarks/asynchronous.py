"""Saving behind a training loop: how long it stands still, and how much slower it runs meanwhile."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

import cloudckpt as ckpt
from benchmarks.bucket import s3_bucket
from benchmarks.plain_http import PlainS3
from benchmarks.report import Goal, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bucket import Bucket
    from benchmarks.measure import Plan
    from benchmarks.options import Options

__all__ = ["measure"]

ALONE_SECONDS = 1.0


@dataclass
class Stall:
    """One way to begin a save: `begin` is what the loop stands still for."""

    name: str
    begin: Callable[[Path], object]
    finish: Callable[[], object]
    seconds: list[float] = field(default_factory=list)


@dataclass
class Behind:
    """One way to save behind a loop."""

    name: str
    begin: Callable[[Path], object]
    is_busy: Callable[[], bool]
    finish: Callable[[], object]
    clean: Callable[[Path], object] = shutil.rmtree
    slowdowns: dict[str, list[float]] = field(default_factory=dict)
    """of each kind of loop: time of a step during the save by that alone, once a round"""
    seconds: list[float] = field(default_factory=list)
    """that the saves took"""


def measure(options: Options, folder: Path) -> Report:
    """Stalls on the local disk; slowdowns there, and with an S3 server on the same processors."""
    plan = options.few_large_tensors()
    stalls = measure_stalls(plan, folder)
    local = measure_slowdowns([on_local_disk(plan, folder / "ours")], plan, folder)
    with s3_bucket(folder) as bucket:
        ways = [in_bucket(plan, bucket), bare_requests(plan, bucket)]
        remote = measure_slowdowns(ways, plan, folder)
        tables = [
            stalls_table(stalls, plan),
            slowdowns_table("Local disk", local),
            slowdowns_table(bucket.server, remote),
        ]
    return Report(tables, [*stall_goals(stalls), *slowdown_goals(local[0], *remote)])


# How long the loop stands still.


def measure_stalls(plan: Plan, folder: Path) -> dict[str, Stall]:
    """All ways in turn, round after round; the first round, which touches new memory, is not the best of any."""
    ways = [copy_of_memory(plan), ours_of("NumPy", dict(plan.arrays), folder)]
    if importlib.util.find_spec("jax"):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        arrays = {name: jax.numpy.array(array) for name, array in plan.arrays.items()}
        ways.append(ours_of("JAX", arrays, folder))
        if importlib.util.find_spec("orbax"):
            ways += [orbax_of("NumPy", dict(plan.arrays)), orbax_of("JAX", arrays)]
    for _ in range(plan.rounds + 1):
        for way in ways:
            here = Path(tempfile.mkdtemp(dir=folder))
            os.sync()
            start = time.perf_counter()
            way.begin(here)
            way.seconds.append(time.perf_counter() - start)
            way.finish()
            shutil.rmtree(here)
    return {way.name: way for way in ways}


def copy_of_memory(plan: Plan) -> Stall:
    """One thread copies all arrays into memory that it has."""
    targets = {name: np.zeros_like(array) for name, array in plan.arrays.items()}

    def copy(_: Path) -> None:
        for name, array in plan.arrays.items():
            np.copyto(targets[name], array)

    return Stall("one memcpy", copy, lambda: None)


def ours_of(kind: str, arrays: Mapping[str, Any], folder: Path) -> Stall:
    """A manager that saves behind."""
    manager = ckpt.CheckpointManager(folder / f"ours-{kind}", asynchronous=True, max_to_keep=1)
    steps = iter(range(1 << 30))
    return Stall(f"cloudckpt, {kind}", lambda _: manager.save(next(steps), arrays), manager.wait)


def orbax_of(kind: str, arrays: Mapping[str, Any]) -> Stall:
    """Orbax's checkpointer that saves behind."""
    from orbax import checkpoint

    checkpointer = checkpoint.AsyncCheckpointer(checkpoint.PyTreeCheckpointHandler())
    return Stall(
        f"Orbax, {kind}",
        lambda folder: checkpointer.save(folder / "state", dict(arrays)),
        checkpointer.wait_until_finished,
    )


def stalls_table(stalls: Mapping[str, Stall], plan: Plan) -> Table:
    """A row for each way."""
    table = Table("", title=f"The loop stands still: {plan.gigabytes:.2f} GB, {len(plan.arrays)} arrays")
    for column in ("first s", "best s", "median s", "best / memcpy"):
        table.add_column(column, justify="right")
    copy = min(stalls["one memcpy"].seconds)
    for way in stalls.values():
        first, best = way.seconds[0], min(way.seconds)
        table.add_row(way.name, f"{first:.3f}", f"{best:.3f}", f"{median(way.seconds[1:]):.3f}", f"{best / copy:.2f}")
    return table


def stall_goals(stalls: Mapping[str, Stall]) -> list[Goal]:
    """Ours by theirs: here less is better."""
    best = {name: min(way.seconds) for name, way in stalls.items()}
    copied = best["cloudckpt, NumPy"] / best["one memcpy"]
    goals = [Goal("stall of an asynchronous save, by one memcpy's time: at most", "1.3", "1", f"{copied:.2f}")]
    if "Orbax, JAX" in best:
        passed = best["cloudckpt, JAX"] / best["Orbax, JAX"]
        goals.append(Goal("the same of JAX arrays, by that of Orbax: at most", "1", "0.5", f"{passed:.3f}"))
    return goals


# How much slower it runs.


def numpy_step() -> None:
    """Some milliseconds of one thread in NumPy, in the processor's caches."""
    values = np.linspace(0, 1, 1 << 14)
    for _ in range(40):
        values = np.sin(values) + np.sqrt(values + 1)


def python_step() -> None:
    """Some milliseconds of Python alone."""
    total = 0
    for number in range(60_000):
        total += number * number % 7


STEPS = {"NumPy": numpy_step, "Python": python_step}


def measure_slowdowns(ways: list[Behind], plan: Plan, folder: Path) -> list[Behind]:
    """All ways in turn, round after round, each time with the loop alone beside it; the first round warms up."""
    for number in range(plan.rounds + 1):
        for kind, step in STEPS.items():
            for way in ways:
                slowdown, seconds = slowed_down(way, step, folder)
                if number:
                    way.slowdowns.setdefault(kind, []).append(slowdown)
                    way.seconds.append(seconds)
    return ways


def slowed_down(way: Behind, step: Callable[[], None], folder: Path) -> tuple[float, float]:
    """A step's time during one save by its time before and after it, and the seconds that the save took."""
    here = Path(tempfile.mkdtemp(dir=folder))
    os.sync()
    before = seconds_of(step, lambda spent: spent < ALONE_SECONDS)
    way.begin(here)
    start = time.perf_counter()
    during = seconds_of(step, lambda _: way.is_busy())
    took = time.perf_counter() - start
    way.finish()
    os.sync()
    after = seconds_of(step, lambda spent: spent < ALONE_SECONDS)
    way.clean(here)
    return during / ((before + after) / 2), took


def seconds_of(step: Callable[[], None], goes_on: Callable[[float], bool]) -> float:
    """What a step takes in the mean, for as long as it goes on."""
    count, start, spent = 0, time.perf_counter(), 0.0
    while goes_on(spent) or not count:
        step()
        count += 1
        spent = time.perf_counter() - start
    return spent / count


def managed(name: str, manager: ckpt.CheckpointManager, plan: Plan, clean: Callable[[Path], object]) -> Behind:
    """A manager that saves behind, all in one directory, and keeps one checkpoint."""
    steps = iter(range(1 << 30))

    def is_busy() -> bool:
        try:
            manager.wait(1e-9)
        except TimeoutError:
            return True
        return False

    return Behind(name, lambda _: manager.save(next(steps), plan.arrays), is_busy, manager.wait, clean)


def on_local_disk(plan: Plan, directory: Path) -> Behind:
    """As by default, with `fsync`."""
    manager = ckpt.CheckpointManager(directory, asynchronous=True, max_to_keep=1)
    return managed("cloudckpt", manager, plan, shutil.rmtree)


def in_bucket(plan: Plan, bucket: Bucket) -> Behind:
    """The same in a bucket."""
    options = bucket.options
    manager = ckpt.CheckpointManager(bucket.url("ours"), asynchronous=True, max_to_keep=1, storage_options=options)
    return managed("cloudckpt", manager, plan, shutil.rmtree)


def bare_requests(plan: Plan, bucket: Bucket) -> Behind:
    """The bare requests of `plain_http`, with checksums, begun by a thread as ours are."""
    requests, threads = PlainS3(bucket.client, bucket.name), [threading.Thread()]

    def begin(here: Path) -> None:
        threads[0] = threading.Thread(target=requests.upload, args=(here.name, plan.arrays))
        threads[0].start()

    def is_busy() -> bool:
        return threads[0].is_alive()

    def finish() -> None:
        threads[0].join()

    return Behind("http.client, same checksums", begin, is_busy, finish, bucket.clean)


def slowdowns_table(place: str, ways: list[Behind]) -> Table:
    """A row for each way."""
    table = Table("", title=f"{place}: a loop of one thread during a save, its time by that of it alone")
    for column in (*STEPS, "save s"):
        table.add_column(column, justify="right")
    for way in ways:
        cells = [f"{median(found):.3f} ({min(found):.3f} to {max(found):.3f})" for found in way.slowdowns.values()]
        table.add_row(way.name, *cells, f"{median(way.seconds):.2f}")
    return table


def slowdown_goals(local: Behind, ours: Behind, bare: Behind) -> list[Goal]:
    """Medians of the rounds: less is better."""
    goals = []
    for kind in STEPS:
        slower = f"{median(local.slowdowns[kind]) - 1:.1%}"
        goals.append(Goal(f"slowdown of a loop of {kind} during a save to the disk: at most", "10%", "5%", slower))
    for kind in STEPS:
        ratio = median(ours.slowdowns[kind]) / median(bare.slowdowns[kind])
        what = f"time of a loop of {kind} during a save to S3, by that during bare requests: at most"
        goals.append(Goal(what, "1.1", "1", f"{ratio:.2f}"))
    return goals
