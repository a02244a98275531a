"""Retention as a manager does it: after the commit, and the same after any restart."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.open import Location
from tests.manager.runs import MemoryRun, manager_at, tree


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("options", "stays"),
    [
        ({"max_to_keep": None}, [1, 2, 3, 4, 5]),
        ({"max_to_keep": 0}, [1, 2, 3, 4, 5]),
        ({"max_to_keep": 1}, [5]),
        ({"max_to_keep": 3}, [3, 4, 5]),
        ({"max_to_keep": 2, "keep_every_n_hours": 1}, [1, 4, 5]),
        ({"max_to_keep": 2, "keep_every_n_hours": 1e-12}, [1, 2, 3, 4, 5]),
    ],
)
def test_p6_what_stays(options: dict[str, Any], stays: list[int], restarts: bool) -> None:
    run = MemoryRun()
    manager = run.manager(**options)
    for step in range(1, 6):
        if restarts:
            manager.close()
            manager = run.manager(**options)
        manager.save(step, tree(step))
    assert manager.all_steps() == run.indexed == run.named == stays
    manager.close()


def test_p6_what_was_preserved_stays_when_the_hours_are_no_longer_asked_for() -> None:
    run = MemoryRun()
    with run.manager(max_to_keep=1, keep_every_n_hours=1) as manager:
        for step in (1, 2, 3):
            manager.save(step, tree(step))
    with run.manager(max_to_keep=1) as manager:
        for step in (4, 5):
            manager.save(step, tree(step))
    assert run.named == run.indexed == [1, 5]


def test_p6_a_lower_limit_takes_effect_at_the_next_save() -> None:
    run = MemoryRun()
    with run.manager(max_to_keep=None) as manager:
        for step in range(6):
            manager.save(step, tree(step))
    with run.manager(max_to_keep=2) as manager:
        manager.restore_latest()
        assert run.indexed == [0, 1, 2, 3, 4, 5]
        manager.save(6, tree(6))
    assert run.indexed == [5, 6]


def test_p6_the_old_is_there_until_the_new_is_named() -> None:
    run = MemoryRun()
    with run.manager(max_to_keep=1) as manager:
        for step in (1, 2):
            manager.save(step, tree(step))
    assert run.state.paths == ("ckpt-2",)
    assert run.state.retired == ("ckpt-1",)
    assert run.indexed == [2]


def test_p6_unnamed_checkpoints_are_nobody_s_to_delete() -> None:
    run = MemoryRun()
    with run.manager() as manager:
        for step in (1, 2, 3):
            manager.save(step, tree(step))
    run.store.delete(["run/checkpoint"])
    with run.manager(max_to_keep=1) as manager:
        manager.restore_latest()
        manager.save(4, tree(4))
    assert run.named == [4]
    assert run.indexed == [1, 2, 4]


class Timeless(MemoryFileSystem):
    """A filesystem that knows no times."""

    cachable = False

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return {key: value for key, value in super().info(path, **options).items() if key != "created"}

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        return [self.info(name) for name in super().ls(path, detail=False, **options)]


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
def test_hours_are_counted_by_our_own_clock_where_a_store_knows_no_times() -> None:
    location = Location(FilesystemStore(Timeless()), f"/{uuid.uuid4().hex}")
    with manager_at(location, max_to_keep=1, keep_every_n_hours=1) as manager:
        for step in (1, 2, 3):
            manager.save(step, tree(step))
        assert manager.all_steps() == [1, 3]
        assert manager.latest_step() == 3
