"""A program that ends while it saves: `python -m tests.manager.exiting_job <directory> <way to end> <saving>`.

The save does not begin before the interpreter's exit has, so that all of it falls into the exit.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import cloudckpt as ckpt
from cloudckpt.manager.background.at_exit import at_exit
from cloudckpt.manager.directory import tier
from cloudckpt.storage.deadline import pause, require_time
from tests.manager.job import announce

WAIT = 60
save_tensors = tier.save_tensors


def state(step: int) -> dict[str, Any]:
    """Large enough for several threads."""
    return {"w": np.full(12 << 20, step, np.float32), "step": step}


def late(*args: Any, **options: Any) -> Any:
    """Save once the exit has begun."""
    wait_until(lambda: at_exit.has_begun)
    return save_tensors(*args, **options)


def failing(*args: Any, **options: Any) -> Any:
    wait_until(lambda: at_exit.has_begun)
    raise OSError("the disk is on fire")


def when_told(*args: Any, **options: Any) -> Any:
    """Save once there is a file beside the directory; what cuts off requests ends the waiting."""
    while not Path(f"{sys.argv[1]}.go").exists():
        pause(0.01)
        require_time("the file that tells")
    return save_tensors(*args, **options)


def wait_until(condition: Any) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def fork(manager: Any) -> None:
    """A child ends as any program does, and the save in flight goes on only after that."""
    child = os.fork()
    if not child:
        manager.wait(1)
        sys.exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    Path(f"{sys.argv[1]}.go").touch()


def work(directory: str) -> None:
    """Save as `main` does, and end with that under way, in a process that ends by `os._exit`."""
    work.manager = save_twice(directory)  # type: ignore[attr-defined]  # kept, and never closed


def save_twice(directory: str) -> ckpt.CheckpointManager:
    manager = ckpt.CheckpointManager(directory, asynchronous=True, when_busy="replace", timeout=WAIT)
    for step in (1, 2):
        manager.save(step, state(step))
    return manager


def main(directory: str, way: str, saving: str) -> None:
    tier.save_tensors = globals()[saving]
    if way == "worker":
        worker = multiprocessing.get_context("fork").Process(target=work, args=(directory,))
        worker.start()
        worker.join()
        sys.exit(worker.exitcode)
    manager = save_twice(directory)
    announce("saving")
    if way == "raise":
        raise ValueError("the program is wrong")
    if way == "exit":
        sys.exit(3)
    if way == "fork":
        fork(manager)
    if way == "thread":
        threading.Thread(target=lambda: (time.sleep(0.2), manager.save(3, state(3)))).start()
    if way == "drop":
        del manager


if __name__ == "__main__":
    main(*sys.argv[1:])
