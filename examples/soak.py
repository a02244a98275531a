"""Kill a training job at random moments, hundreds of times, and see that nothing that it announced is ever lost.

soak_job.py trains on local disk, and then straight to an S3 bucket. SIGKILL and SIGTERM strike at random moments, the
next run goes on, and in the end the weights must be those of a run that nobody disturbed, to the last bit.

    make soak                                # 200 kills on each store
    SOAK_KILLS=1000 SOAK_SEED=7 make soak    # more, at the moments of an earlier soak
    SOAK_SECONDS=60 make soak                # on each store no more kills after so long
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from demo import same_bits
from job import ONE_THREAD, QUIET
from s3_server import s3_server

import cloudckpt as ckpt

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB = Path(__file__).with_name("soak_job.py")
STEPS = int(os.environ.get("SOAK_STEPS", "3000"))
PREEMPTED = 75
STARTING = 0.1
"""The share of the kills that strike a job which has not begun to train yet."""
NO_GRACE = 0.3
"""The share of the SIGTERMs that SIGKILL follows before the job can have ended."""


@dataclass(frozen=True)
class Kill:
    """One kill: which signals, and when."""

    signals: tuple[signal.Signals, ...]
    delays: tuple[float, ...]
    """seconds before each of them: the first from when the job trains (or was started), the second from the first"""
    while_starting: bool


def moments(seed: int) -> random.Random:
    """The same moments for each store."""
    return random.Random(seed)  # noqa: S311 - they are to come again from the same seed


def random_kill(rng: random.Random) -> Kill:
    """Any of them, at any moment of half a second."""
    while_starting = rng.random() < STARTING
    delays = (rng.uniform(0, 0.5), rng.uniform(0, 0.05))
    if rng.random() < 0.5:
        return Kill((signal.SIGKILL,), delays[:1], while_starting)
    if rng.random() < NO_GRACE:
        return Kill((signal.SIGTERM, signal.SIGKILL), delays, while_starting)
    return Kill((signal.SIGTERM,), delays[:1], while_starting)


@dataclass
class Tally:
    """What a soak has counted on one store."""

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    announced: int = 0
    lost: int = 0
    """steps that were announced, and not there at the next start"""
    not_last: int = 0
    """steps between the one at which a job stopped itself, after its last save, and the next start"""
    different: int = 0
    """runs whose final weights were not those of the undisturbed one"""
    damaged: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.not_last or self.different or self.damaged)


class Life:
    """One process of the job, from its start to its end.

    Args:
        directory: where it saves.
        environment: its variables.
        kill: how it dies; None to let it run to its end.
    """

    def __init__(self, directory: str, environment: Mapping[str, str], kill: Kill | None) -> None:
        self.started: int | None = None
        """the step that it resumed; None if it was killed before"""
        self.announced: list[int] = []
        self.stopped: int | None = None
        command = [sys.executable, str(JOB), directory, str(STEPS)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**environment, **ONE_THREAD, **QUIET}, text=True
        )
        self._kill = kill
        self._over = threading.Event()
        if kill is not None and kill.while_starting:
            self._strike()
        for line in self._process.stdout or ():
            self._note(json.loads(line))
        self.code = self._process.wait()
        self._over.set()

    @property
    def end(self) -> str:
        """How it ended, in words."""
        return "preempted" if self.code == PREEMPTED else signal.Signals(-self.code).name if self.code < 0 else "ended"

    def _note(self, report: dict[str, Any]) -> None:
        match report:
            case {"event": "started", "step": step}:
                self.started = step
                if self._kill is not None and not self._kill.while_starting:
                    self._strike()
            case {"event": "saved", "step": step}:
                self.announced.append(step)
            case {"event": "stopped", "step": step}:
                self.stopped = step

    def _strike(self) -> None:
        threading.Thread(target=self._send_signals, daemon=True).start()

    def _send_signals(self) -> None:
        kill = self._kill
        assert kill is not None
        for number, delay in zip(kill.signals, kill.delays, strict=True):
            if self._over.wait(delay):
                return
            # It may end by itself just now.
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


class Soak:
    """The soak on one store.

    Args:
        root: where its directories are.
        environment: the job's variables.
        storage_options: what this process needs to read there.
        rng: says when to kill.
    """

    def __init__(
        self, root: str, environment: Mapping[str, str], storage_options: Mapping[str, Any], rng: random.Random
    ) -> None:
        self._root = root
        self._environment = environment
        self._options = storage_options
        self._rng = rng
        self.tally = Tally()

    def run(self, kills: int, seconds: float) -> Tally:
        """Train again and again through so many kills, at most so many seconds long, and to the end each time."""
        undisturbed = f"{self._root}/undisturbed"
        life = Life(undisturbed, self._environment, None)
        if life.code != 0:
            raise SystemExit(f"the undisturbed job ended with status {life.code}")
        expected = self._final(undisturbed)
        end = time.monotonic() + seconds
        while sum(self.tally.kills.values()) < kills and time.monotonic() < end:
            directory = f"{self._root}/round-{self.tally.rounds}"
            self._train_through_kills(directory, kills, end)
            self.tally.different += not same_bits(self._final(directory), expected)
            self.tally.damaged += self._damage(directory)
            self.tally.rounds += 1
            print(f"{directory} trained to its end; killed {sum(self.tally.kills.values())} times so far", flush=True)
        return self.tally

    def _train_through_kills(self, directory: str, kills: int, end: float) -> None:
        """Start the job until it has ended by itself."""
        announced, stopped, code = 0, 0, None
        while code != 0:
            is_enough = sum(self.tally.kills.values()) >= kills or time.monotonic() > end
            life = Life(directory, self._environment, None if is_enough else random_kill(self._rng))
            if life.started is not None:
                self.tally.lost += max(0, announced - life.started)
                self.tally.not_last += max(0, stopped - life.started)
                stopped = 0
            announced = max([announced, *life.announced])
            self.tally.announced += len(life.announced)
            if life.code == PREEMPTED and life.stopped is not None:
                stopped = life.stopped
            if life.code not in {0, PREEMPTED, -signal.SIGTERM, -signal.SIGKILL} or (is_enough and life.code != 0):
                raise SystemExit(f"the job on {directory} ended with status {life.code}")
            if life.code != 0:
                self.tally.kills[life.end] += 1
            code = life.code

    def _final(self, directory: str) -> Any:
        prefix = ckpt.latest_checkpoint(directory, storage_options=self._options)
        assert prefix is not None, f"{directory} holds no checkpoint"
        assert prefix.endswith(f"-{STEPS}"), f"the newest checkpoint is {prefix}, not that of step {STEPS}"
        return ckpt.load(prefix, storage_options=self._options)

    def _damage(self, directory: str) -> list[str]:
        """What is wrong with what is left: every checkpoint is whole, and nothing young is taken for garbage."""
        with ckpt.CheckpointManager(directory, storage_options=self._options) as manager:
            collected = manager.collect_garbage(dry_run=True)
            steps = manager.all_steps()
        damage = [f"would be deleted: {garbage}" for garbage in collected.found]
        for step in steps:
            report = ckpt.verify(f"{directory}/ckpt-{step}", storage_options=self._options)
            if not report.ok:
                damage.append(str(report))
        return damage


def show(store: str, tally: Tally, seconds: float) -> None:
    """Say what was counted."""
    ends = ", ".join(f"{count} {end}" for end, count in sorted(tally.kills.items()))
    print(f"{store}: {sum(tally.kills.values())} kills ({ends}) in {tally.rounds} runs, {seconds:.0f} s")
    print(f"  saves announced: {tally.announced}")
    print(f"  steps lost beyond the last announced save: {tally.lost}")
    print(f"  steps lost by jobs that had a notice: {tally.not_last}")
    print(f"  final weights that differ from the undisturbed run's: {tally.different}")
    print(f"  damage found in what is left: {len(tally.damaged)}")
    for damage in tally.damaged:
        print(f"    {damage}")


def main() -> int:
    """Soak both stores; 0 if every promise was kept."""
    kills, seconds = int(os.environ.get("SOAK_KILLS", "200")), float(os.environ.get("SOAK_SECONDS", "inf"))
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed: SOAK_SEED={seed}", flush=True)
    tallies = []
    with tempfile.TemporaryDirectory(prefix="cloudckpt-soak-") as folder:
        soak = Soak(f"{folder}/local", os.environ, {}, moments(seed))
        tallies.append(soaked("local disk", soak, kills, seconds))
        with s3_server(Path(folder)) as server:
            bucket, name = fsspec.filesystem("s3", **server.storage_options), f"soak-{uuid.uuid4().hex[:8]}"
            bucket.mkdir(name)
            soak = Soak(f"s3://{name}", server.environment(), server.storage_options, moments(seed))
            try:
                tallies.append(soaked(server.name, soak, kills, seconds))
            finally:
                bucket.rm(name, recursive=True)
    return 0 if all(tally.is_good for tally in tallies) else 1


def soaked(store: str, soak: Soak, kills: int, seconds: float) -> Tally:
    """Run a soak, and say what came of it."""
    start = time.monotonic()
    tally = soak.run(kills, seconds)
    show(store, tally, time.monotonic() - start)
    return tally


if __name__ == "__main__":
    sys.exit(main())
