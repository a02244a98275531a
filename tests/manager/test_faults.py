"""A save that fails, or whose process dies, at any one of its operations: nothing announced is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.errors import TransientStorageError
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.testing.faults import Crash, FaultyStore, Mode
from tests.manager.runs import MemoryRun, same, tree

if TYPE_CHECKING:
    from cloudckpt.manager.checkpoint_manager import CheckpointManager

Scenario = Callable[["CheckpointManager"], None]


@dataclass(frozen=True)
class Case:
    """What was saved before, and what a process does until it dies."""

    before: list[int]
    saves: list[int]
    """steps of a second line of training, after restoring the newest, or `restored`"""
    restored: int | None = None


CASES = {
    "first": Case([], [1]),
    "next, with retention": Case([1, 2], [3]),
    "two in a row": Case([1, 2], [3, 4]),
    "the newest again": Case([1, 2], [2]),
    "back to the first": Case([1, 2], [1, 2], restored=1),
    "back between": Case([10, 20], [15, 16, 25], restored=10),
}
MODES: list[Mode] = ["before", "after", "during"]


def prepared(case: Case) -> MemoryRun:
    run = MemoryRun()
    with run.manager(max_to_keep=2) as manager:
        for step in case.before:
            manager.save(step, tree(step))
    return run


def work(manager: CheckpointManager, case: Case, announced: list[int]) -> None:
    """The second process, up to the operation at which it dies."""
    if case.restored is None:
        manager.restore_latest(default=None)
    else:
        manager.restore(case.restored)
    for step in case.saves:
        manager.save(step, tree(step, "second"))
        announced.append(step)


def operations_of(case: Case) -> int:
    run = prepared(case)
    store = FaultyStore(run.store, 0)
    with run.manager(store, max_to_keep=2) as manager:
        work(manager, case, [])
    return len(store.operations)


def acceptable(case: Case, announced: list[int]) -> list[dict[str, Any]]:
    """The trees that a restart may find: the newest announced, or the one whose save was under way."""
    if len(announced) == len(case.saves):
        return [tree(announced[-1], "second")]
    in_flight = tree(case.saves[len(announced)], "second")
    if announced:
        return [tree(announced[-1], "second"), in_flight]
    # Nothing was announced since the restart: what it restored, or the newest before if it had not begun to go back.
    old = {case.restored, max(case.before, default=None)} - {None}
    return [in_flight, *(tree(step) for step in old if step is not None)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_p4_p6_killed_at_any_operation(name: str, mode: Mode) -> None:
    case = CASES[name]
    for fail_at in range(1, operations_of(case) + 1):
        run, announced = prepared(case), list[int]()
        store = FaultyStore(run.store, fail_at, mode, forever=True, error=Crash())
        with pytest.raises(Crash), run.manager(store, max_to_keep=2) as manager:
            work(manager, case, announced)
        restart(run, case, announced, at=store.operations[-1])


def restart(run: MemoryRun, case: Case, announced: list[int], at: str) -> None:
    """A fresh process finds what it must, saves on, and leaves a tidy directory."""
    assert set(run.named) <= set(run.indexed), at
    with run.manager(max_to_keep=2) as manager:
        found = manager.restore_latest(default=None)
        if found is None:
            assert not case.before, at
            assert not announced, at
            step = 0
        else:
            state, step = found
            assert any(same(state, wanted) for wanted in acceptable(case, announced)), at
        for later in (step + 100, step + 200, step + 300):
            manager.save(later, tree(later, "third"))
        assert run.named == [step + 200, step + 300], at
        # All that was retired is gone; what was left behind stays.
        assert set(run.indexed) - {int(path[5:]) for path in run.state.left} == set(run.named), at
        assert same(manager.restore_latest()[0], tree(step + 300, "third")), at


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("name", CASES)
def test_p8_one_failed_request_or_lost_answer_is_no_failure(name: str, mode: Mode) -> None:
    """As on a bucket, whose store is retried."""
    case = CASES[name]
    for fail_at in range(1, operations_of(case) + 1):
        run, announced = prepared(case), list[int]()
        faulty = FaultyStore(run.store, fail_at, mode)
        with run.manager(RetryingStore(faulty, sleep=lambda _: None), max_to_keep=2) as manager:
            work(manager, case, announced)
        assert faulty.failed
        assert announced == case.saves
        restart(run, case, announced, at=faulty.operations[fail_at - 1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", sorted(CASES.keys() - {"back to the first"}))
def test_the_same_manager_goes_on_after_an_error(name: str, mode: Mode) -> None:
    """Without retries: a save may fail, and the next ones, or a restore before them, succeed."""
    case = CASES[name]
    for fail_at in range(1, operations_of(case) + 1):
        run, announced = prepared(case), list[int]()
        store = FaultyStore(run.store, fail_at, mode)
        with run.manager(store, max_to_keep=2) as manager:
            try:
                work(manager, case, announced)
            except TransientStorageError:
                found = manager.restore_latest(default=None)
                assert found is None or any(same(found[0], wanted) for wanted in acceptable(case, announced))
                manager.save(50, tree(50, "second"))
            assert set(run.named) <= set(run.indexed)
            assert same(manager.restore(run.named[-1]), tree(run.named[-1], "second"))


@pytest.mark.parametrize("error", [ckpt.StorageError("full"), ckpt.errors.PermissionDeniedError("no")])
def test_p6_a_delete_that_fails_is_tried_again_by_the_next_save(error: Exception) -> None:
    run = MemoryRun()
    store = FaultyStore(run.store, 0, error=error)
    with run.manager(store, max_to_keep=1) as manager:
        manager.save(1, tree(1))
        store._fail_at = len(store.operations) + 8
        manager.save(2, tree(2))
        assert store.operations[-1] == "delete_if_version ckpt-1.index"
        assert run.indexed == [1, 2]
        assert run.state.retired == ("ckpt-1",)
        assert manager.all_steps() == [2]
        manager.save(3, tree(3))
        assert run.indexed == [3]


def test_p6_what_could_not_be_looked_up_is_tried_again_by_the_next_save() -> None:
    run = MemoryRun()
    store = FaultyStore(run.store, 0)
    with run.manager(store, max_to_keep=1) as manager:
        manager.save(1, tree(1))
        store._fail_at = len(store.operations) + 6
        manager.save(2, tree(2))
        assert store.operations[store._fail_at - 1] == "get ckpt-1.index"
        assert run.indexed == [1, 2]
        manager.save(3, tree(3))
        assert run.indexed == [3]


def test_p6_a_restart_finishes_what_was_retired() -> None:
    run = MemoryRun()
    with run.manager(max_to_keep=1) as manager:
        manager.save(1, tree(1))
    store = FaultyStore(run.store, 10, forever=True, error=Crash())
    with pytest.raises(Crash), run.manager(store, max_to_keep=1) as manager:
        manager.save(2, tree(2))
    assert store.operations[-1] == "delete_if_version ckpt-1.index"
    assert run.indexed == [1, 2]
    with run.manager(max_to_keep=None) as manager:
        assert manager.latest_step() == 2
        assert manager.all_steps() == [2]
        manager.save(3, tree(3))
    assert run.indexed == [2, 3]


def test_p5_p6_an_index_that_can_t_be_read_is_never_deleted(caplog: pytest.LogCaptureFixture) -> None:
    run = MemoryRun()
    with run.manager(max_to_keep=1) as manager:
        manager.save(1, tree(1))
        run.filesystem.pipe_file("/run/ckpt-1.index", b"rubbish")
        for step in (2, 3):
            manager.save(step, tree(step))
    assert "ckpt-1.index" in run.files
    assert "ckpt-1.data-00000-of-00001" in run.files
    assert sum("ckpt-1 was to be deleted" in message for message in caplog.messages) == 1
    assert run.state.retired == ("ckpt-2",)


@pytest.mark.parametrize(
    "error", [TransientStorageError("gone"), ckpt.StorageError("full")], ids=["transient", "permanent"]
)
def test_p4_a_step_whose_state_could_not_be_written_is_named_by_the_next_save(error: Exception) -> None:
    counted = FaultyStore(MemoryRun().store, 0)
    with MemoryRun().manager(counted) as manager:
        manager.save(1, tree(1))
    state_put = counted.operations.index("put checkpoint") + 1

    run = MemoryRun()
    with run.manager(FaultyStore(run.store, state_put, error=error), max_to_keep=2) as manager:
        with pytest.raises(type(error)):
            manager.save(1, tree(1))
        assert run.indexed == [1]
        manager.save(2, tree(2))
        assert run.state.paths == ("ckpt-1", "ckpt-2")
        manager.save(3, tree(3))
    assert run.indexed == [2, 3]
