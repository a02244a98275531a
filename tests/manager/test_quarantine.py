"""Broken checkpoints put aside: no checkpoints any more, and nothing of them lost."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.errors import PermissionDeniedError
from cloudckpt.garbage.collect import collect_in
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.manager.runs import MemoryRun, same, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = "ckpt-30.data-00000-of-00001"


def flip(run: MemoryRun) -> None:
    content = bytearray(run.filesystem.cat_file(f"/run/{DATA}"))
    content[0] ^= 1
    run.filesystem.pipe_file(f"/run/{DATA}", bytes(content))


DAMAGE: dict[str, Callable[[MemoryRun], object]] = {
    "a flipped bit": flip,
    "no data": lambda run: run.store.delete([f"run/{DATA}"]),
    "short data": lambda run: run.filesystem.pipe_file(f"/run/{DATA}", b"short"),
    "rubbish for an index": lambda run: run.filesystem.pipe_file("/run/ckpt-30.index", b"rubbish"),
}


def aside(run: MemoryRun) -> list[str]:
    return [name for name in run.files if ".index.quarantined-" in name]


def restored(run: MemoryRun, store: Any = None, **options: Any) -> int:
    """The step that a restart takes, which passes over 30."""
    with run.manager(store, quarantine=True, **options) as manager:
        step, warned = restored_by(manager)
    assert any(re.search("step 30 .* is passed over", message) for message in warned)
    return step


def restored_by(manager: ckpt.CheckpointManager) -> tuple[int, list[str]]:
    """The newest step that a manager finds, and what it warns of on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        state, step = manager.restore_latest()
    assert same(state, tree(step))
    assert {(each.category, each.filename) for each in caught} == {(ckpt.RecoveryWarning, __file__)}
    return int(step), [str(each.message) for each in caught]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_broken_counts_no_more_and_is_not_lost(run: MemoryRun, damage: Callable[[MemoryRun], object]) -> None:
    damage(run)
    before = dict(run.filesystem.store)
    assert restored(run) == 20
    assert (run.indexed, run.named) == ([10, 20], [10, 20])
    assert run.state.left == ("ckpt-30",)
    (name,) = aside(run)
    assert re.fullmatch(r"ckpt-30\.index\.quarantined-[0-9a-f]{16}", name)
    assert run.filesystem.store[f"/run/{name}"].getvalue() == before["/run/ckpt-30.index"].getvalue()
    assert run.filesystem.store.get(f"/run/{DATA}") is before.get(f"/run/{DATA}")
    with run.manager(quarantine=True) as manager, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert manager.restore_latest()[1] == manager.latest_step() == 20
        assert manager.all_steps() == [10, 20]
        with pytest.raises(ckpt.CheckpointNotFoundError):
            manager.restore(30)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_the_step_is_saved_again_and_the_collector_takes_nothing_of_the_old_one(
    run: MemoryRun, damage: Callable[[MemoryRun], object]
) -> None:
    damage(run)
    before = dict(run.filesystem.store)
    with run.manager(quarantine=True, max_to_keep=1) as manager:
        with pytest.warns(ckpt.RecoveryWarning):
            manager.restore_latest()
        manager.save(30, tree(30, "second"))
        assert run.indexed == [30]
        manager.save(30, tree(30, "third"))
        assert same(manager.restore(30), tree(30, "third"))
        manager.save(40, tree(40))
    assert run.indexed == [40]
    report = collect_in(Location(run.store, "run"), no_writers=True, min_age=0.0)
    assert run.filesystem.store.get(f"/run/{DATA}") is before.get(f"/run/{DATA}")
    assert len(aside(run)) == 1
    if "rubbish" in str(before["/run/ckpt-30.index"].getvalue()):
        assert any("can't be read" in spared.reason for spared in report.kept)


def test_the_collector_takes_the_garbage_beside_it(run: MemoryRun) -> None:
    flip(run)
    restored(run)
    run.filesystem.pipe_file("/run/ckpt-30.data-00000-of-77777", b"of a save that died")
    collect_in(Location(run.store, "run"), no_writers=True, min_age=0.0)
    assert [name for name in run.files if name.startswith("ckpt-30.data")] == [DATA]


def test_the_collector_takes_its_data_once_its_index_is_deleted_by_hand(run: MemoryRun) -> None:
    flip(run)
    restored(run)
    run.store.delete([f"run/{name}" for name in aside(run)])
    collect_in(Location(run.store, "run"), no_writers=True, min_age=0.0)
    assert not any(name.startswith("ckpt-30.") for name in run.files)


def test_put_aside_between_the_collector_s_listing_and_its_look_at_the_index(run: MemoryRun) -> None:
    flip(run)
    before = dict(run.filesystem.store)

    class Meanwhile(FaultyStore):
        def get(self, key: str) -> Any:
            if key.endswith("ckpt-30.index") and "ckpt-30.index" in run.files:
                restored(run)
            return super().get(key)

    collect_in(Location(Meanwhile(run.store, 0), "run"), no_writers=True, min_age=0.0)
    assert len(aside(run)) == 1
    assert run.filesystem.store[f"/run/{DATA}"] is before[f"/run/{DATA}"]


def test_it_comes_back_by_hand(run: MemoryRun) -> None:
    content = run.filesystem.cat_file(f"/run/{DATA}")
    flip(run)
    restored(run)
    (name,) = aside(run)
    run.filesystem.pipe_file(f"/run/{DATA}", content)
    run.filesystem.mv(f"/run/{name}", "/run/ckpt-30.index")
    with run.manager() as manager:
        assert same(manager.restore(30), tree(30))


def test_without_being_asked_nothing_is_changed(run: MemoryRun) -> None:
    flip(run)
    before = dict(run.filesystem.store)
    with run.manager() as manager, pytest.warns(ckpt.RecoveryWarning):
        assert manager.restore_latest()[1] == 20
    run.store.delete([f"run/{DATA}"])
    with run.manager(quarantine=True) as manager, pytest.warns(ckpt.RecoveryWarning):
        assert manager.latest_step() == 20
    assert run.filesystem.store == {path: file for path, file in before.items() if not path.endswith(DATA)}


def test_one_without_an_index_is_none_that_could_be_put_aside(run: MemoryRun) -> None:
    run.store.delete(["run/ckpt-30.index"])
    before = dict(run.filesystem.store)
    assert restored(run) == 20
    assert run.filesystem.store == before


def test_p4_where_nothing_is_whole_nothing_is_put_aside(run: MemoryRun) -> None:
    for step in (10, 20, 30):
        run.store.delete([f"run/ckpt-{step}.data-00000-of-00001"])
    before = dict(run.filesystem.store)
    scratch = pytest.raises(ckpt.CheckpointDamagedError, match="scratch")
    with run.manager(quarantine=True) as manager, pytest.warns(ckpt.RecoveryWarning), scratch:
        manager.restore_latest(default=None)
    assert run.filesystem.store == before


@pytest.mark.parametrize("state", [None, b"rubbish {"])
def test_p4_with_the_state_lost(run: MemoryRun, state: bytes | None) -> None:
    flip(run)
    if state is None:
        run.store.delete(["run/checkpoint"])
    else:
        run.filesystem.pipe_file("/run/checkpoint", state)
    assert restored(run) == 20
    assert (run.named, run.indexed, len(aside(run))) == ([20], [10, 20], 1)


def test_one_that_was_never_named() -> None:
    """The job died after its commit, before the state was written."""
    here = MemoryRun()
    with here.manager() as manager:
        manager.save(20, tree(20))
    save_tree(Location(here.store, "run/ckpt-30"), tree(30))
    flip(here)
    assert restored(here) == 20
    assert (here.named, here.indexed, len(aside(here))) == ([20], [20], 1)


@pytest.mark.parametrize("mode", ["before", "after", "during"])
def test_p1_killed_anywhere_nothing_is_lost(run: MemoryRun, mode: str) -> None:
    flip(run)
    ends = set[tuple[bool, int]]()
    for fail_at in range(1, 99):
        here = run.copy()
        store = FaultyStore(here.store, fail_at, mode, forever=True, error=Crash())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with here.manager(store, quarantine=True) as manager:
                    manager.restore_latest()
            except Crash:
                pass
            assert here.indexed[-1] == 30 or len(aside(here)) == 1
            ends.add((here.indexed[-1] == 30, len(aside(here))))
            assert DATA in here.files
            with here.manager(quarantine=True) as manager:
                assert manager.restore_latest()[1] == 20
                collect_in(Location(here.store, "run"), no_writers=True, min_age=0.0)
                assert DATA in here.files
                manager.save(30, tree(30, "second"))
                assert same(manager.restore_latest()[0], tree(30, "second"))
        if not store.failed:
            break
    assert ends == {(True, 0), (True, 1), (False, 1)}


@pytest.mark.parametrize(
    "failing", ["put checkpoint", "put ckpt-30.index.quarantined", "delete_if_version ckpt-30.index"]
)
def test_a_restore_goes_well_also_where_nothing_can_be_written(run: MemoryRun, failing: str) -> None:
    flip(run)
    counted = FaultyStore(run.copy().store, 0)
    restored(run.copy(), counted)
    number = next(n for n, operation in enumerate(counted.operations, 1) if operation.startswith(failing))
    store = FaultyStore(run.store, number, error=PermissionDeniedError("you may only read"))
    with run.manager(store, quarantine=True) as manager:
        step, warned = restored_by(manager)
    assert step == 20
    assert "not all put aside: you may only read" in warned[-1]
    assert 30 in run.indexed


def test_p7_beside_another_writer_nothing_is_put_aside(run: MemoryRun) -> None:
    """It has saved since the look: perhaps the very step."""
    flip(run)

    class Meanwhile(FaultyStore):
        def read(self, key: str, *arguments: Any) -> None:
            if not self.operations.count(f"read {key.rpartition('/')[2]}") and "ckpt-20" in key:
                with run.manager() as other, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    other.restore_latest()
                    other.save(30, tree(30, "second"))
            super().read(key, *arguments)

    with run.manager(Meanwhile(run.store, 0), quarantine=True) as manager:
        step, warned = restored_by(manager)
        assert step == 20
        assert "not all put aside" in warned[-1]
        with pytest.raises(ckpt.CommitConflictError):
            manager.save(40, tree(40))
        assert manager.restore_latest()[1] == 30
        assert same(manager.restore(30), tree(30, "second"))
    assert aside(run) == []


def test_on_a_local_disk(tmp_path: Path) -> None:
    with ckpt.CheckpointManager(tmp_path) as manager:
        for step in (1, 2):
            manager.save(step, tree(step))
    (tmp_path / "ckpt-2.data-00000-of-00001").write_bytes(b"short")
    with ckpt.CheckpointManager(tmp_path, quarantine=True) as manager:
        assert restored_by(manager)[0] == 1
        manager.save(2, tree(2, "second"))
    with ckpt.CheckpointManager(tmp_path) as manager:
        assert same(manager.restore_latest()[0], tree(2, "second"))
    assert len(list(tmp_path.glob("ckpt-2.index.quarantined-*"))) == 1
    assert (tmp_path / "ckpt-2.data-00000-of-00001").read_bytes() == b"short"
