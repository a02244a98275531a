"""Train in containers that are taken away in the middle of a save, and see that nothing is lost.

examples/digits.py trains twice on a bucket of compose.yaml's MinIO: once undisturbed, once in containers that
`docker kill` ends while they save over a network gone slow. Each new container has nothing but the bucket to go on
from. At the end both must have the same weights, to the last bit.

    make compose
"""

from __future__ import annotations

import http
import http.client
import json
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from bucket import sizes, steps, what_is_left
from demo import load_latest, same_bits
from rich.console import Console
from rich.table import Table
from s3_server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem

COMPOSE = ["docker", "compose", "--file", str(Path(__file__).with_name("compose.yaml")), "--profile", "job"]
SERVER = S3Server("MinIO in a container", "http://127.0.0.1:9000")
TOXIPROXY = "127.0.0.1:8474"
# What the network of a container that is to be killed is like, so that the moments of a save last: its 140 KB take
# seconds to send, or it hears of what the bucket holds a second after that can be seen there.
SLOW_TO_SEND = {"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 20}}  # KB/s
SLOW_TO_ANSWER = {"type": "latency", "stream": "downstream", "attributes": {"latency": 1000}}  # milliseconds
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Preemption:
    """A moment of a save, and the machine is gone."""

    saving: int
    words: str
    toxic: dict[str, Any]
    """What toxiproxy does to the network of this container."""
    once_there: str | None = None
    """The step's file that must be seen in the bucket; None: two seconds have passed."""


PREEMPTIONS = [
    Preemption(20, "data on its way", SLOW_TO_SEND),
    Preemption(40, "data there, index not", SLOW_TO_ANSWER, ".data-"),
    Preemption(60, "index there, state file not", SLOW_TO_ANSWER, ".index"),
]


@dataclass(frozen=True)
class Outcome:
    """What a preemption came to."""

    preemption: Preemption
    amid_the_save: bool
    """Whether the container was killed after it began this save and before it had returned."""
    left: str
    whole: int
    """The newest whole checkpoint in the bucket when the container was dead; 0 if there was none."""
    found: int
    """The step that the next container went on from."""

    @property
    def as_promised(self) -> bool:
        """Whether it was a preemption amid a save, and nothing whole was lost."""
        return self.amid_the_save and self.found == self.whole


class Container:
    """One run of the job in a container of its own."""

    killed = 128 + signal.SIGKILL
    """The exit status of one that was killed."""

    def __init__(self, directory: str, endpoint_url: str | None = None) -> None:
        self._name = f"cloudckpt-job-{uuid.uuid4().hex[:8]}"
        quiet = ["--env", "PYTHONWARNINGS=ignore"]  # what it passed over is in our own table
        direct = ["--env", f"AWS_ENDPOINT_URL={endpoint_url}"] if endpoint_url else []
        run = [*COMPOSE, "run", "--rm", "--no-deps", "--no-TTY", "--name", self._name, *quiet, *direct]
        self._process = subprocess.Popen([*run, "job", directory], stdout=subprocess.PIPE, text=True)

    def reports(self) -> Iterator[dict[str, Any]]:
        """What the job reports, as it comes, to its end."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            yield from map(json.loads, lines)

    def kill(self) -> None:
        """Take it away without a warning."""
        subprocess.run(["docker", "kill", self._name], check=True, stdout=subprocess.DEVNULL)

    def must_end_with(self, status: int) -> None:
        """Wait for its end, which must be this."""
        if (found := self._process.wait()) != status:
            raise SystemExit(f"the job's container ended with status {found}, not {status}")


def main() -> int:
    """Run the demo; 0 if every promise was kept."""
    console, start = Console(highlight=False), time.monotonic()
    with composed():
        name = f"preempted-{uuid.uuid4().hex[:8]}"
        bucket = fsspec.filesystem("s3", **SERVER.storage_options)
        bucket.mkdir(name)
        kept = run(bucket, f"s3://{name}", console)
    console.print(f"{time.monotonic() - start:.0f} s in all")
    return 0 if kept else 1


@contextmanager
def composed() -> Iterator[None]:
    """The servers, built and started; nothing of them is left behind."""
    try:
        subprocess.run([*COMPOSE, "build", "job"], check=True)
        subprocess.run([*COMPOSE, "up", "--detach", "--wait", "minio", "toxiproxy"], check=True)
        yield
    finally:
        subprocess.run([*COMPOSE, "down", "--volumes", "--remove-orphans"], check=True)


def run(bucket: AbstractFileSystem, root: str, console: Console) -> bool:
    """Train both ways, and compare what came of it; whether every promise was kept."""
    undisturbed, preempted = f"{root}/undisturbed", f"{root}/preempted"
    console.print(f"training into {undisturbed}")
    finished(Container(undisturbed, "http://minio:9000"))
    console.print(f"training into {preempted}, with {len(PREEMPTIONS)} preemptions")
    outcomes = train_through_preemptions(preempted, bucket, console)
    equal = same_bits(load_latest(undisturbed, SERVER), load_latest(preempted, SERVER))
    show(console, outcomes)
    console.print("the final states are " + ("[green]the same to the last bit[/]" if equal else "[red]DIFFERENT[/]"))
    return equal and all(outcome.as_promised for outcome in outcomes)


def train_through_preemptions(directory: str, bucket: AbstractFileSystem, console: Console) -> list[Outcome]:
    """Run the job once for every preemption, and then to its end: what came of each."""
    begun, amid, left, whole = [], [], [], []
    for preemption in PREEMPTIONS:
        console.print(f"  a container, to be killed while it saves step {preemption.saving}: {preemption.words}")
        ask_toxiproxy("/proxies/s3/toxics", preemption.toxic)
        told = preempt(Container(directory), preemption, bucket, directory)
        ask_toxiproxy("/reset")
        begun.append(told["started"])
        amid.append(told.get("saving") == preemption.saving != told.get("saved"))
        left.append(what_is_left(bucket, directory))
        whole.append(max(steps(sizes(bucket, directory), ".index"), default=0))
    console.print("  a container that is let be")
    begun.append(finished(Container(directory))["started"])
    return [Outcome(*facts) for facts in zip(PREEMPTIONS, amid, left, whole, begun[1:], strict=True)]


def preempt(container: Container, preemption: Preemption, bucket: AbstractFileSystem, directory: str) -> dict[str, int]:
    """Kill the container when its moment has come: the last step of each kind that it had reported."""
    told = {}
    for report in container.reports():
        told[report["event"]] = report["step"]
        if report["event"] == "saving" and report["step"] == preemption.saving:
            wait_for(preemption, bucket, directory)
            container.kill()
    container.must_end_with(container.killed)
    return told


def wait_for(preemption: Preemption, bucket: AbstractFileSystem, directory: str) -> None:
    """Return as soon as the moment has come."""
    if preemption.once_there is None:
        time.sleep(2)
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    while preemption.saving not in steps(sizes(bucket, directory), preemption.once_there):
        if time.monotonic() > deadline:
            raise SystemExit(f"step {preemption.saving}, {preemption.words}: not within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.02)


def ask_toxiproxy(path: str, body: dict[str, Any] | None = None) -> None:
    """Change the network between the job and MinIO; /reset makes it as it was."""
    connection = http.client.HTTPConnection(TOXIPROXY, timeout=10)
    connection.request("POST", path, json.dumps(body) if body else None)
    answer = connection.getresponse()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise SystemExit(f"toxiproxy refused {path}: {answer.read().decode()}")
    connection.close()


def finished(container: Container) -> dict[str, int]:
    """Wait for a container that is let be: the last step of each kind that it reported."""
    told = {report["event"]: report["step"] for report in container.reports()}
    container.must_end_with(0)
    return told


def show(console: Console, outcomes: list[Outcome]) -> None:
    """A row for each preemption: when it struck, what that left, and what the next container found."""
    table = Table("saving", "killed when", "left in the bucket", "the next one found", title="Preempted and resumed")
    for outcome in outcomes:
        found = f"[green]step {outcome.found}[/]"
        if not outcome.as_promised:
            amid = "" if outcome.amid_the_save else ", killed after its save"
            found = f"[red]step {outcome.found} of {outcome.whole}{amid}[/]"
        table.add_row(f"step {outcome.preemption.saving}", outcome.preemption.words, outcome.left, found)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
