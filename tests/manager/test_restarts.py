"""Restarts of all kinds, with policies and metrics: nothing is deleted that should stay."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.keep import Best, EveryHours, EverySteps, Latest
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location
from tests.manager.runs import MemoryRun, manager_at, same, tree

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600.0
LOSSES = {1: 0.5, 2: 0.1, 3: 0.7, 4: 0.6, 5: 0.8}


class Clock:
    """The clock of a store, hours."""

    def __init__(self) -> None:
        self.hours = 480_000.0

    def manager(self, run: MemoryRun, **options: Any) -> ckpt.CheckpointManager:
        store = MemoryStore(run.filesystem, clock=lambda: self.hours * HOUR)
        return manager_at(Location(store, "run"), **options)


@pytest.fixture
def run() -> MemoryRun:
    """A directory with five steps and their losses."""
    run = MemoryRun()
    with run.manager(max_to_keep=None) as manager:
        for step, loss in LOSSES.items():
            manager.save(step, tree(step), {"loss": loss})
    return run


def lose_state(run: MemoryRun) -> None:
    run.store.delete(["run/checkpoint"])


def restart(run: MemoryRun, **options: Any) -> int:
    """A process that restores and ends at once."""
    with run.manager(**options) as manager, warnings.catch_warnings():
        warnings.simplefilter("ignore", ckpt.RecoveryWarning)
        return int(manager.restore_latest()[1])


@pytest.mark.parametrize("restarts", [1, 2, 3])
@pytest.mark.parametrize("keep", [Latest(1), Best("loss"), EveryHours(1000), Latest(1) | Best("loss", "max")])
def test_p6_with_the_state_lost_only_what_was_restored_is_named_and_nothing_else_is_touched(
    run: MemoryRun, restarts: int, keep: Any
) -> None:
    lose_state(run)
    for _ in range(restarts):
        assert restart(run, keep=keep) == 5
    with run.manager(keep=keep) as manager:
        manager.restore_latest()
        manager.save(6, tree(6), {"loss": 0.9})
        manager.save(7, tree(7), {"loss": 0.3})
    assert {1, 2, 3, 4} <= set(run.indexed)
    assert {1, 2, 3, 4}.isdisjoint(run.named)
    lose_state(run)
    with run.manager(keep=keep) as manager:
        manager.restore_latest()
        manager.save(8, tree(8), {"loss": 0.2})
    assert {1, 2, 3, 4} <= set(run.indexed)
    for step in (1, 2, 3, 4):
        with run.manager() as manager:
            assert same(manager.restore(step), tree(step))


def test_p6_with_the_state_lost_the_metrics_of_what_was_restored_still_count(run: MemoryRun) -> None:
    lose_state(run)
    run.store.delete([f"run/ckpt-{step}.index" for step in (3, 4, 5)])
    for step, loss in ((6, 0.9), (7, 0.95)):
        assert restart(run) in {2, 6}
        with run.manager(keep=Best("loss")) as manager:
            manager.restore_latest()
            manager.save(step, tree(step), {"loss": loss})
            assert manager.best_step("loss") == 2
    assert (run.named, run.indexed) == ([2, 7], [1, 2, 7])


@pytest.mark.parametrize("between", [id, restart])
def test_p6_hours_go_on_over_restarts(between: Callable[[MemoryRun], object]) -> None:
    run, clock = MemoryRun(), Clock()
    for step in range(1, 14):
        clock.hours += 0.5
        with clock.manager(run, max_to_keep=1, keep_every_n_hours=2) as manager:
            if step > 1:
                manager.restore_latest()
            manager.save(step, tree(step))
        between(run)
    assert run.named == run.indexed == [1, 5, 9, 13]
    assert [time / HOUR - 480_000 for time in run.state.timestamps] == [0.5, 2.5, 4.5, 6.5]


def test_p6_a_clock_that_goes_back_deletes_nothing_that_was_kept_for_good() -> None:
    run, clock = MemoryRun(), Clock()
    kept = []
    with clock.manager(run, keep=EveryHours(2) | EverySteps(4)) as manager:
        for step in range(1, 20):
            clock.hours += 1 if step != 10 else -10_000
            manager.save(step, tree(step))
            kept.append(set(run.indexed) - {step})
    for before, after in pairwise(kept):
        assert before <= after
    assert {4, 8, 12, 16} <= set(run.indexed)
    assert len(run.indexed) < 19


def test_p4_a_rollback_forgets_the_best_of_the_line_that_it_leaves(run: MemoryRun) -> None:
    with run.manager(max_to_keep=2, best_metric="loss") as manager:
        manager.restore(1)
        manager.save(2, tree(2, "second"), {"loss": 0.6})
        assert (run.named, manager.best_step()) == ([1, 2], 1)
        for step in (3, 4):
            manager.save(step, tree(step, "second"), {"loss": 0.55})
        assert (run.named, manager.best_step()) == ([1, 3, 4], 1)
    assert restart(run) == 4
    lose_state(run)
    with run.manager() as manager:
        assert manager.best_step("loss") == 1
        assert manager.metrics(5) == {"loss": 0.8}


def test_p7_two_managers_with_metrics_never_mix(run: MemoryRun) -> None:
    options: dict[str, Any] = {"max_to_keep": 1, "best_metric": "loss"}
    with run.manager(**options) as one, run.manager(**options) as other:
        one.restore_latest()
        other.restore_latest()
        one.save(6, tree(6), {"loss": 0.05})
        with pytest.raises(ckpt.CommitConflictError):
            other.save(7, tree(7), {"loss": 0.01})
        with pytest.raises(ckpt.CommitConflictError):
            other.delete(6)
        assert run.named == [6]
        assert run.state.metrics == {"ckpt-6": {"loss": 0.05}}
        assert other.restore_latest()[1] == 7  # committed, though not announced
        other.save(8, tree(8), {"loss": 0.9})
        assert run.named == [7, 8]
        assert other.best_step() == 7
        with pytest.raises(ckpt.CommitConflictError):
            one.save(9, tree(9))
