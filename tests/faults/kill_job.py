"""Saves that kill themselves with SIGKILL at their N-th operation, each in a process and a folder of its own.

Run as `python -m tests.faults.kill_job FOLDER`; prints, for every folder, the last operation and how the process ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count
from typing import TYPE_CHECKING

from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.local import upload as local_upload
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location
from tests.faults.hooked import HookedStore
from tests.faults.states import state

if TYPE_CHECKING:
    from collections.abc import Callable


def kill_at(number: int) -> Callable[[int, str], None]:
    """A hook that ends the process, with no chance to clean up, at that operation."""

    def hook(at: int, name: str) -> None:
        if at == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def save_in_child(folder: str, number: int, moment: str, start: int | None) -> int:
    """Save over `start` in a process that dies at that operation; how it ended."""
    place = Location(LocalStore(fsync=False), os.path.join(folder, "ckpt"))
    if start is not None:
        save_tree(place, state(start))
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    save_tree(Location(HookedStore(place.store, **{moment: kill_at(number)}), place.key), state(2))
    os._exit(0)


def main(folder: str) -> None:
    local_upload.LocalUpload.part_size = 4096
    outcomes = {}
    for start in (None, 1):
        for moment in ("before", "after"):
            for number in count(1):
                own = os.path.join(folder, f"{start}-{moment}-{number}")
                os.mkdir(own)
                outcomes[own] = status = save_in_child(own, number, moment, start)
                if not status:
                    break
    print(json.dumps(outcomes))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(sys.argv[1])
