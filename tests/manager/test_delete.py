"""Deleting a step by hand: named no more first, gone after that, and never the last one."""

from __future__ import annotations

import pytest

import cloudckpt as ckpt
from cloudckpt.errors import PreconditionFailedError
from cloudckpt.garbage.collect import collect_in
from cloudckpt.keep import Latest, Pinned
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.manager.runs import MemoryRun, same, tree


@pytest.mark.parametrize(("step", "latest"), [(10, 30), (20, 30), (30, 20)])
@pytest.mark.parametrize("restored", [False, True])
def test_it_is_gone_and_the_one_before_the_latest_is_the_latest(
    run: MemoryRun, step: int, latest: int, restored: bool
) -> None:
    with run.manager() as manager:
        if restored:
            manager.restore_latest()
        manager.delete(step)
        rest = [each for each in (10, 20, 30) if each != step]
        assert manager.all_steps() == run.named == run.indexed == rest
        assert manager.latest_step() == latest
        assert not any(name.startswith(f"ckpt-{step}.") for name in run.files)
        assert run.state.latest == f"ckpt-{latest}"
        manager.save(40, tree(40))
        assert run.named == [*rest, 40]
    with run.manager() as manager:
        assert manager.restore_latest()[1] == 40


def test_requests(run: MemoryRun) -> None:
    store = FaultyStore(run.store, 0)
    with run.manager(store) as manager:
        manager.restore_latest()
        store.operations.clear()
        manager.delete(20)
    assert store.operations == [
        "get checkpoint",
        "list ckpt-",
        "get ckpt-20.index",
        "put checkpoint",
        "delete_if_version ckpt-20.index",
        "delete ckpt-20.data-00000-of-00001",
        "put checkpoint",
    ]


def test_p4_the_last_one_is_not_deleted(run: MemoryRun) -> None:
    with run.manager() as manager:
        manager.delete(30)
        manager.delete(10)
        before = run.copy()
        with pytest.raises(ckpt.InvalidArgumentError, match=r"the last one .* another") as refusal:
            manager.delete(20)
        assert refusal.value.step == 20
        assert run.filesystem.store == before.filesystem.store
        assert manager.restore_latest()[1] == 20


def test_p4_the_last_that_the_state_names_is_not_deleted_nor_is_the_last_of_all_without_a_state(run: MemoryRun) -> None:
    with run.manager() as manager:
        manager.restore(10)
        manager.save(10, tree(10, "second"))
        assert (run.named, run.indexed) == ([10], [10, 20, 30])
        with pytest.raises(ckpt.InvalidArgumentError):
            manager.delete(10)
        manager.delete(30)
        assert (run.named, run.indexed) == ([10], [10, 20])
        assert run.state.left == ("ckpt-20", "ckpt-30")
    run.store.delete(["run/checkpoint"])
    with run.manager() as manager:
        manager.delete(20)
        assert run.indexed == [10]
        assert "checkpoint" not in run.files
        with pytest.raises(ckpt.InvalidArgumentError):
            manager.delete(10)
        assert manager.restore_latest()[1] == 10


def test_p4_one_that_is_named_and_gone_is_no_other_one(run: MemoryRun) -> None:
    run.store.delete(["run/ckpt-10.index", "run/ckpt-20.index"])
    with run.manager() as manager, pytest.raises(ckpt.InvalidArgumentError):
        manager.delete(30)


@pytest.mark.parametrize("step", [11, 40])
def test_one_that_is_not_there(run: MemoryRun, step: int) -> None:
    before = run.copy()
    with run.manager() as manager, pytest.raises(ckpt.CheckpointNotFoundError) as missing:
        manager.delete(step)
    assert missing.value.step == step
    assert run.filesystem.store == before.filesystem.store


@pytest.mark.parametrize("step", [-1, True, 1.5, None])
def test_what_is_no_step(run: MemoryRun, step: int) -> None:
    with run.manager() as manager, pytest.raises((TypeError, ValueError)):
        manager.delete(step)


def test_a_closed_manager_deletes_nothing(run: MemoryRun) -> None:
    manager = run.manager()
    manager.close()
    with pytest.raises(ValueError, match="is closed"):
        manager.delete(10)
    assert run.indexed == [10, 20, 30]


def test_a_policy_does_not_hold_it(run: MemoryRun) -> None:
    with run.manager(keep=Latest(None) | Pinned([10])) as manager:
        manager.delete(10)
        assert run.indexed == [20, 30]


def test_a_broken_one_can_be_deleted(run: MemoryRun) -> None:
    run.filesystem.pipe_file("/run/ckpt-20.index", b"rubbish")
    with run.manager() as manager:
        manager.delete(20)
        assert manager.all_steps() == run.named == [10, 30]
    collect_in(Location(run.store, "run"), no_writers=True, min_age=0.0)
    assert not any(name.startswith("ckpt-20.") for name in run.files)


def test_p2_its_names_are_not_used_again_also_after_a_restart(run: MemoryRun) -> None:
    """A DELETE may arrive late."""
    with run.manager() as manager:
        manager.delete(30)
        manager.save(25, tree(25))
    with run.manager() as manager:
        manager.restore_latest()
        manager.save(30, tree(30, "second"))
    assert "ckpt-30.data-00000-of-00001" not in run.files
    run.store.delete(["run/ckpt-30.data-00000-of-00001"])
    with run.manager() as manager:
        assert same(manager.restore(30), tree(30, "second"))


def test_what_is_copied_there_after_it_is_not_deleted(run: MemoryRun) -> None:
    with run.manager() as manager:
        manager.delete(20)
        manager.delete(30)
    assert (run.state.retired, run.state.left) == ((), ("ckpt-30",))
    for step in (20, 30):
        save_tree(Location(run.store, f"run/ckpt-{step}"), tree(step, "copied"))
    with run.manager() as manager:
        assert manager.restore_latest()[1] == 20
        manager.save(40, tree(40))
    assert run.indexed == [10, 20, 30, 40]


def test_p7_after_another_writer_has_saved_nothing_is_deleted(run: MemoryRun) -> None:
    with run.manager() as loser, run.manager() as winner:
        loser.restore_latest()
        winner.save(40, tree(40))
        with pytest.raises(ckpt.CommitConflictError):
            loser.delete(20)
        with pytest.raises(ckpt.CommitConflictError):
            loser.save(50, tree(50))
        assert run.indexed == [10, 20, 30, 40]
        loser.restore_latest()
        loser.delete(20)
        assert run.indexed == [10, 30, 40]
        with pytest.raises(ckpt.CommitConflictError):
            winner.save(60, tree(60))


def test_p7_one_that_is_replaced_meanwhile_stays(run: MemoryRun, monkeypatch: pytest.MonkeyPatch) -> None:
    store = run.store

    def refuse(key: str, version: str) -> None:
        raise PreconditionFailedError("it is another version")

    monkeypatch.setattr(store, "delete_if_version", refuse)
    with run.manager(store) as manager, pytest.raises(ckpt.CommitConflictError):
        manager.delete(20)
    assert run.indexed == [10, 20, 30]


@pytest.mark.parametrize("mode", ["before", "after", "during"])
@pytest.mark.parametrize("step", [10, 20, 30])
def test_p5_killed_anywhere_it_is_there_whole_or_deleted_by_the_next_save(run: MemoryRun, step: int, mode: str) -> None:
    for fail_at in range(1, 99):
        here = run.copy()
        store = FaultyStore(here.store, fail_at, mode, forever=True, error=Crash())
        try:
            with here.manager(store) as manager:
                manager.delete(step)
        except Crash:
            pass
        with here.manager() as manager:
            for each in here.named:
                assert same(manager.restore(each), tree(each))
            _, found = manager.restore_latest()
            assert found == here.named[-1]
            assert found in {30, 20 if step == 30 else 30}
            manager.save(40, tree(40))
            assert here.indexed == here.named == manager.all_steps()
        collect_in(Location(here.store, "run"), no_writers=True, min_age=0.0)
        assert len(here.files) == 2 * len(here.indexed) + 1, store.operations
        if not store.failed:
            break
    assert here.indexed == [each for each in (10, 20, 30, 40) if each != step]


def test_a_deletion_that_fails_says_so_and_the_next_save_goes_on(run: MemoryRun) -> None:
    store = FaultyStore(run.store, 0, error=ckpt.StorageError("no answer"))
    with run.manager(store) as manager:
        manager.restore_latest()
        store._fail_at = len(store.operations) + 5
        with pytest.raises(ckpt.StorageError, match="no answer") as failure:
            manager.delete(20)
        assert failure.value.step == 20
        assert store.operations[-1] == "delete_if_version ckpt-20.index"
        assert (run.named, run.indexed) == ([10, 30], [10, 20, 30])
        manager.save(40, tree(40))
    assert run.named == run.indexed == [10, 30, 40]
