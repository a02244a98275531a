"""After a crash at any operation of whatever writes, a collection leaves the files of checkpoints, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from cloudckpt.storage import memory
from cloudckpt.storage.local import upload as local_upload
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.garbage.places import Directory, UnconditionalMemory, committed, only_checkpoints
from tests.garbage.test_interleavings import WORKS, Work, prepare
from tests.manager.runs import manager_at, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudckpt.testing.faults import Mode

MODES: list[Mode] = ["before", "during", "after"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small save has several parts."""
    monkeypatch.setattr(local_upload.LocalUpload, "part_size", 4096)
    monkeypatch.setattr(memory._MemoryUpload, "part_size", 4096)


@pytest.fixture(params=["conditional", "unconditional", "local"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Directory]:
    """Makes an empty directory, each time anew."""
    if request.param != "local":
        return lambda: Directory(UnconditionalMemory if request.param == "unconditional" else MemoryStore)
    numbers = count()
    return lambda: Directory(location=Location(LocalStore(fsync=False), str(tmp_path / str(next(numbers)) / "run")))


def all_files(run: Directory, tmp_path: Path) -> set[str]:
    """The names of everything in a folder of a disk, hidden files included; nothing of a memory."""
    return {path.name for path in tmp_path.rglob("*") if path.is_file() and str(path).startswith(run.location.key)}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("work", WORKS)
def test_p12_after_a_crash_only_checkpoints_stay(
    fresh: Callable[[], Directory], work: Work, mode: Mode, tmp_path: Path
) -> None:
    found = 0
    for number in count(1):
        run = fresh()
        prepare(run)
        store = FaultyStore(run.store, number, mode, forever=True, error=Crash())
        with suppress(Crash):
            work(run, store)
        before = committed(run.location)
        report = run.collect(min_age=0, no_writers=True)
        found = max(found, len(report.found))
        assert report.deleted == report.found
        assert committed(run.location) == before
        assert only_checkpoints(run.location), store.operations
        needed = {name for names in before.values() for name in names}
        assert all_files(run, tmp_path) <= needed, store.operations
        if not store.failed:
            break
    assert found > 2  # more than what `prepare` leaves


@pytest.mark.parametrize("mode", MODES)
def test_p12_after_a_crash_of_a_manager_only_checkpoints_and_the_state_stay(
    fresh: Callable[[], Directory], mode: Mode, tmp_path: Path
) -> None:
    for number in count(1):
        run = fresh()
        store = FaultyStore(run.store, number, mode, forever=True, error=Crash())
        with suppress(Crash), manager_at(run.on(store), max_to_keep=1) as manager:
            for step in (1, 2, 3, 2):
                manager.save(step, tree(step))
        before = committed(run.location)
        run.collect(min_age=0, no_writers=True)
        assert committed(run.location) == before
        needed = {name for names in before.values() for name in names}
        assert {*run.files, *all_files(run, tmp_path)} - {"checkpoint"} == needed, store.operations
        if not store.failed:
            break
