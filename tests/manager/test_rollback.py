"""Going back to an older step and on from there: the new line is resumed, never the one that was left."""

from __future__ import annotations

import pytest

import cloudckpt as ckpt
from cloudckpt.garbage.collect import collect_in
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import Crash, FaultyStore
from tests.manager.runs import MemoryRun, same, tree


@pytest.fixture
def run() -> MemoryRun:
    """The steps 10, 20, 30 and 40 of a first line."""
    run = MemoryRun()
    with run.manager(max_to_keep=None) as manager:
        for step in (10, 20, 30, 40):
            manager.save(step, tree(step))
    return run


def left(run: MemoryRun) -> list[int]:
    return sorted(int(name.removeprefix("ckpt-")) for name in run.state.left)


def restored_step(run: MemoryRun, line: str) -> int:
    with run.manager() as manager:
        state, step = manager.restore_latest()
    assert same(state, tree(step, line))
    return int(step)


def test_p4_a_save_below_the_newest_leaves_what_follows(run: MemoryRun) -> None:
    with run.manager(max_to_keep=None) as manager:
        manager.restore(20)
        manager.save(25, tree(25, "second"))
        assert manager.all_steps() == [10, 20, 25]
    assert run.named == [10, 20, 25]
    assert left(run) == [30, 40]
    assert run.indexed == [10, 20, 25, 30, 40]
    assert restored_step(run, "second") == 25


def test_p4_left_ones_can_be_restored_by_hand(run: MemoryRun) -> None:
    with run.manager(max_to_keep=None) as manager:
        manager.save(25, tree(25, "second"))
        assert same(manager.restore(40), tree(40))


def test_p4_saving_over_left_ones_makes_them_the_new_line_s(run: MemoryRun) -> None:
    with run.manager(max_to_keep=None) as manager:
        manager.restore(20)
        for step, still_left in ((25, [30, 40]), (30, [40]), (35, [40]), (40, []), (50, [])):
            manager.save(step, tree(step, "second"))
            assert left(run) == still_left
            assert restored_step(run, "second") == step
    assert run.named == [10, 20, 25, 30, 35, 40, 50]


def test_p4_left_ones_are_not_retired(run: MemoryRun) -> None:
    with run.manager(max_to_keep=1) as manager:
        manager.restore(20)
        for step in (25, 27, 50):
            manager.save(step, tree(step, "second"))
    assert run.indexed == [30, 40, 50]
    assert run.named == [50]


def test_p4_left_ones_deleted_by_hand_are_no_trouble(run: MemoryRun) -> None:
    with run.manager(max_to_keep=None) as manager:
        manager.restore(20)
        manager.save(25, tree(25, "second"))
        for name in run.files:
            if name.startswith(("ckpt-30", "ckpt-40")):
                run.store.delete([f"run/{name}"])
        manager.save(30, tree(30, "second"))
        manager.save(45, tree(45, "second"))
    assert restored_step(run, "second") == 45
    assert run.named == [10, 20, 25, 30, 45]


def test_p4_back_twice(run: MemoryRun) -> None:
    with run.manager(max_to_keep=None) as manager:
        manager.restore(30)
        manager.save(35, tree(35, "second"))
        manager.restore(10)
        manager.save(15, tree(15, "third"))
    assert run.named == [10, 15]
    assert left(run) == [20, 30, 35, 40]
    assert restored_step(run, "third") == 15


def test_p4_back_to_the_very_beginning(run: MemoryRun) -> None:
    with run.manager(max_to_keep=None) as manager:
        manager.save(0, tree(0, "second"))
    assert run.named == [0]
    assert left(run) == [10, 20, 30, 40]
    assert restored_step(run, "second") == 0


def test_saving_a_step_that_exists_replaces_it(run: MemoryRun) -> None:
    with run.manager(max_to_keep=None) as manager:
        manager.restore_latest()
        manager.save(40, tree(40, "second"))
    assert run.named == [10, 20, 30, 40]
    assert left(run) == []
    assert restored_step(run, "second") == 40
    assert len([name for name in run.files if name.startswith("ckpt-40.")]) == 2


@pytest.mark.parametrize("max_to_keep", [None, 1])
@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("step", [5, 20, 25])
def test_p4_killed_anywhere_on_the_way_back_the_left_line_is_never_resumed(
    run: MemoryRun, step: int, mode: str, max_to_keep: int | None
) -> None:
    outcomes = set()
    for fail_at in range(1, 99):
        here, announced = run.copy(), list[int]()
        store = FaultyStore(here.store, fail_at, mode, forever=True, error=Crash())
        died = go_back(here, store, step, max_to_keep, announced)
        with here.manager(max_to_keep=max_to_keep) as manager:
            state, found = manager.restore_latest()
            outcomes.add((state["line"], found))
            # One that is saved over a left one is listed as left until it is named: it might be the old one.
            new = {step, step + 10}.intersection(here.indexed).difference(left(here))
            if any(same(manager.restore(each), tree(each, "second")) for each in new):
                assert (state["line"], found) in {("second", step), ("second", step + 10)}
            elif here.named[-1:] != [40]:
                assert (state["line"], found) == ("first", max(each for each in (10, 20) if each < step))
            else:
                # Nothing is left before the new line is there, or the step below it named as the newest.
                assert (state["line"], found) in {("first", 40), ("first", step)}
            assert found in announced[-1:] or not announced or found > announced[-1]
            manager.save(found + 1, tree(found + 1, "third"))
            assert manager.latest_step() == found + 1
        collect_in(Location(here.store, "run"), no_writers=True, min_age=0.0)
        assert len(here.files) == 2 * len(here.indexed) + 1, store.operations
        if not died:
            break
    assert {("first", 40), ("second", step), ("second", step + 10)} <= outcomes


def go_back(here: MemoryRun, store: FaultyStore, step: int, max_to_keep: int | None, announced: list[int]) -> bool:
    """Restore 10 and save twice on from there; whether the process died on the way."""
    try:
        with here.manager(store, max_to_keep=max_to_keep) as manager:
            manager.restore(10)
            for each in (step, step + 10):
                manager.save(each, tree(each, "second"))
                announced.append(each)
    except Crash:
        return True
    return False


@pytest.mark.parametrize("mode", ["before", "after"])
def test_p4_before_all_that_is_kept_the_old_line_stays_until_the_new_one_is_there(run: MemoryRun, mode: str) -> None:
    """There is nothing below to fall back to: so nothing is left before the one write that makes the new line."""
    found_by: dict[str, set[int]] = {"us": set(), "TensorFlow's rule": set()}
    for fail_at in range(1, 99):
        here = run.copy()
        store = FaultyStore(here.store, fail_at, mode, forever=True, error=Crash())
        try:
            with here.manager(store) as manager:
                manager.save(0, tree(0, "second"))
        except Crash:
            pass
        with here.manager() as manager:
            state, step = manager.restore_latest(default=("scratch", -1))
            assert same(state, tree(step, "second" if step == 0 else "first"))
            assert manager.all_steps() == ([0] if step == 0 else [10, 20, 30, 40])
        found_by["us"].add(step)
        found_by["TensorFlow's rule"].add(int(here.state.latest.removeprefix("ckpt-")))
        if not store.failed:
            break
    assert found_by == {"us": {0, 40}, "TensorFlow's rule": {0, 40}}


def test_p4_a_rollback_before_all_that_failed_is_forgotten_by_the_next_save(run: MemoryRun) -> None:
    store = FaultyStore(run.store, 0, error=ckpt.StorageError("the disk is full"))
    with run.manager(store, max_to_keep=None) as manager:
        manager.restore_latest()
        store._fail_at = len(store.operations) + 6
        with pytest.raises(ckpt.StorageError, match="full"):
            manager.save(5, tree(5, "second"))
        assert store.operations[store._fail_at - 1] == "put ckpt-5.index"
        assert (run.named, run.state.successor) == ([10, 20, 30, 40], "ckpt-5")
        manager.save(50, tree(50))
    assert (run.named, run.state.successor, left(run)) == ([10, 20, 30, 40, 50], "", [])


def test_p2_a_step_that_was_deleted_or_left_gets_new_names(run: MemoryRun) -> None:
    """A DELETE that is late must never hit a new file."""
    with run.manager(max_to_keep=1) as manager:
        manager.save(50, tree(50))
        assert run.indexed == [50]
        manager.save(20, tree(20, "second"))
        manager.save(60, tree(60, "second"))
        manager.save(50, tree(50, "third"))
    names = [name for name in run.files if ".data-" in name]
    assert "ckpt-50.data-00000-of-00001" not in names
    with run.manager() as manager:
        assert same(manager.restore(50), tree(50, "third"))


def test_p2_in_order_the_names_are_tensorflow_s(run: MemoryRun) -> None:
    assert [name for name in run.files if ".data-" in name] == [
        f"ckpt-{step}.data-00000-of-00001" for step in (10, 20, 30, 40)
    ]


def test_p2_a_retired_step_saved_again_gets_new_names() -> None:
    run = MemoryRun()
    with run.manager(max_to_keep=1) as manager:
        for step in (1, 2, 1):
            manager.save(step, tree(step))
    assert "ckpt-1.data-00000-of-00001" not in run.files


def test_p2_a_step_whose_save_has_failed_gets_new_names(run: MemoryRun) -> None:
    """The DELETE of what it had written may arrive once more, late."""
    store = FaultyStore(run.store, 0, error=ckpt.StorageError("the disk is full"))
    with run.manager(store, max_to_keep=None) as manager:
        manager.restore_latest()
        store._fail_at = len(store.operations) + 5
        with pytest.raises(ckpt.StorageError, match="full"):
            manager.save(50, tree(50))
        assert store.operations[-2:] == ["stat ckpt-50.index", "delete_if_version ckpt-50.data-00000-of-00001"]
        assert not any(name.startswith("ckpt-50.") for name in run.files)
        manager.save(50, tree(50))
    run.store.delete(["run/ckpt-50.data-00000-of-00001"])
    assert restored_step(run, "first") == 50


@pytest.mark.parametrize("fail_at_index", [False, True])
def test_p6_a_retired_step_that_is_saved_again_leaves_the_line_first(fail_at_index: bool) -> None:
    """Killed right after its index was written, the restart must not delete it as retired."""
    run = MemoryRun()
    with run.manager(max_to_keep=2) as manager:
        for step in (10, 20, 30):
            manager.save(step, tree(step))
    assert run.state.retired == ("ckpt-10",)
    store = FaultyStore(run.store, 0, "after", forever=True, error=Crash())
    with pytest.raises(Crash), run.manager(store, max_to_keep=2) as manager:
        manager.restore(20)
        store._fail_at = len(store.operations) + (6 if fail_at_index else 5)
        manager.save(10, tree(10, "second"))
    assert store.operations[store._fail_at - 1] == ("put ckpt-10.index" if fail_at_index else "put checkpoint")
    assert run.state.retired == ()
    if fail_at_index:
        with run.manager(max_to_keep=2) as manager:
            assert same(manager.restore(10), tree(10, "second"))
            manager.save(40, tree(40))
        assert 10 in run.indexed


def test_an_upload_that_fails_on_the_way_back_leaves_the_state_as_it_was(run: MemoryRun) -> None:
    store = FaultyStore(run.store, 0, error=ckpt.StorageError("the disk is full"))
    before = run.copy().filesystem.store
    with run.manager(store, max_to_keep=None) as manager:
        manager.restore(20)
        store._fail_at = len(store.operations) + 3
        with pytest.raises(ckpt.StorageError, match="full"):
            manager.save(25, tree(25, "second"))
        assert run.filesystem.store == before
        manager.save(25, tree(25, "second"))
    assert restored_step(run, "second") == 25


def test_a_state_that_can_t_be_written_on_the_way_back_takes_the_data_along(run: MemoryRun) -> None:
    store = FaultyStore(run.store, 0, error=ckpt.StorageError("the disk is full"))
    before = run.copy().filesystem.store
    with run.manager(store, max_to_keep=None) as manager:
        manager.restore(20)
        store._fail_at = len(store.operations) + 5
        with pytest.raises(ckpt.StorageError, match="full"):
            manager.save(25, tree(25, "second"))
    assert store.operations[store._fail_at - 1] == "put checkpoint"
    assert run.filesystem.store == before
