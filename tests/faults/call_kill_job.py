"""A scenario in processes that kill themselves with SIGKILL before their N-th system call, for N from 1 to the end.

Run as `python -m tests.faults.call_kill_job SCENARIO FOLDER`; prints what was found after the kills, as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import warnings
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from cloudckpt.errors import RecoveryWarning
from cloudckpt.garbage.collect import collect_garbage
from cloudckpt.storage.local import upload as local_upload
from tests.faults import scenarios
from tests.faults.scenarios import Manage, Scenario, place
from tests.faults.states import named
from tests.faults.system_calls import CHANGING, NAMING, Call, handed_to


def run_and_kill(scenario: Scenario, folder: str, number: int) -> str | None:
    """Run a scenario in a process that dies at that call; what it said before, or None if it came to its end."""
    said, saying = os.pipe()
    if (child := os.fork()) == 0:
        numbers = count(1)

        def handle(call: Call) -> Any:
            if call.name != "flock" and next(numbers) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call.perform()

        # A manager does all that others do, so that only its own order is of interest.
        with handed_to(handle, folder, NAMING[1:] if isinstance(scenario, Manage) else CHANGING):
            scenario.act(folder, False, partial(say, saying))
        os._exit(0)
    os.close(saying)
    with open(said, encoding="utf-8") as reader:
        lines = reader.read().split()
    status = os.waitpid(child, 0)[1]
    assert status in {0, signal.SIGKILL}, status
    return None if status == 0 else lines[-1] if lines else scenario.first or ""


def say(descriptor: int, text: str) -> None:
    """Tell the other process what may be relied on."""
    os.write(descriptor, f"{text}\n".encode())


def check_collected(folder: str) -> None:
    """Collect the garbage; then there are exactly the files of the committed checkpoints."""
    for path, _, _ in os.walk(folder):
        for _ in range(2):  # a file with two names is as young as the deletion of the first
            collect_garbage(path, min_age=0, no_writers=True)
    there = {str(path) for path in Path(folder).rglob("*") if path.is_file()}
    prefixes = [path.removesuffix(".index") for path in there if path.endswith(".index")]
    committed = set().union(*(named(place("", False, prefix)) for prefix in prefixes))
    others = {os.path.join(folder, "ckpt"), os.path.join(folder, "run", "checkpoint")}  # a V1 file, the state file
    assert there - others == committed, there ^ committed


def main(name: str, folder: str) -> None:
    local_upload.LocalUpload.part_size = 4096
    warnings.simplefilter("ignore", RecoveryWarning)
    scenario: Scenario = getattr(scenarios, name)()
    found = []
    for number in count(1):
        own = os.path.join(folder, str(number))
        os.mkdir(own)
        scenario.prepare(own, False)
        said = run_and_kill(scenario, own, number)
        if said is None:
            break
        found.append(scenario.check(own, said or None))
        check_collected(own)
        assert scenario.check(own, said or None) == found[-1]
        scenario.go_on(own)
        check_collected(own)
        shutil.rmtree(own)
    print(json.dumps(found))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
