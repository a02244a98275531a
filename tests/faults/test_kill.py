"""kill -9 at every operation of a save on a local disk: the old checkpoint or the new one is there, whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location
from tests.faults.states import held, state

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How the process of each folder ended."""
    folder = str(tmp_path_factory.mktemp("killed"))
    job = [sys.executable, "-m", "tests.faults.kill_job", folder]
    done = subprocess.run(job, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=120)
    outcomes: dict[str, int] = json.loads(done.stdout)
    return outcomes


def place(folder: str) -> Location:
    return Location(LocalStore(fsync=False), os.path.join(folder, "ckpt"))


def start_of(folder: str) -> int | None:
    start = Path(folder).name.partition("-")[0]
    return None if start == "None" else int(start)


def test_the_old_or_the_new_is_there(killed: dict[str, int]) -> None:
    assert list(killed.values()).count(signal.SIGKILL) >= 30
    found = {(start_of(folder), held(place(folder))) for folder in killed}
    assert found == {(None, None), (None, 2), (1, 1), (1, 2)}


def test_who_ended_by_itself_saved_the_new(killed: dict[str, int]) -> None:
    ended = [folder for folder, status in killed.items() if not status]
    assert len(ended) == 4
    assert all(held(place(folder)) == 2 for folder in ended)
    assert all(len(os.listdir(folder)) == 2 for folder in ended)


def test_the_next_save_works(killed: dict[str, int]) -> None:
    for folder in killed:
        save_tree(place(folder), state(3))
        assert held(place(folder)) == 3
