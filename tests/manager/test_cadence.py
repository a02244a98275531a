"""Which steps are due: every N steps, every N minutes, on demand."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.manager import cadence
from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, tree

if TYPE_CHECKING:
    from cloudckpt.manager.checkpoint_manager import CheckpointManager


class Clock:
    """The steady clock that a manager looks at, in minutes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.minutes = 1000.0
        monkeypatch.setattr(cadence.time, "monotonic", lambda: self.minutes * 60)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def due(manager: CheckpointManager, steps: range) -> list[int]:
    """The steps that a loop over these saves."""
    saved = []
    for step in steps:
        is_due = manager.should_save(step)
        prefix = manager.save(step, tree(step))
        assert is_due == (prefix is not None)
        if is_due:
            saved.append(step)
    return saved


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (None, range(4), [0, 1, 2, 3]),
        (1, range(4), [0, 1, 2, 3]),
        (3, range(10), [0, 3, 6, 9]),
        (3, range(1, 10), [3, 6, 9]),
        (3, range(4, 10), [6, 9]),
        # A loop that passes over the multiples saves the first step after each.
        (10, range(0, 60, 7), [0, 14, 21, 35, 42, 56]),
        (10, range(5, 60, 25), [30, 55]),
    ],
)
def test_every_n_steps(every: int | None, steps: range, expected: list[int]) -> None:
    run = MemoryRun()
    with run.manager(save_every_n_steps=every, max_to_keep=None) as manager:
        assert due(manager, steps) == expected
    assert run.indexed == expected


def test_every_n_minutes_since_the_last_save_was_begun(clock: Clock) -> None:
    with MemoryRun().manager(save_every_n_minutes=10) as manager:
        saved = []
        for step in range(8):
            saved += due(manager, range(step, step + 1))
            clock.minutes += 4
    assert saved == [3, 6]


def test_the_time_that_a_save_takes_counts(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    run = MemoryRun()
    with run.manager(save_every_n_minutes=10) as manager:
        clock.minutes += 10
        save = manager._saves.save

        def slow(*arguments: Any) -> str | None:
            clock.minutes += 9
            return save(*arguments)

        monkeypatch.setattr(manager._saves, "save", slow)
        assert manager.save(1, tree(1)) is not None
        assert not manager.should_save(2)
        clock.minutes += 1
        assert manager.should_save(2)


def test_either_of_the_two_is_enough(clock: Clock) -> None:
    with MemoryRun().manager(save_every_n_steps=5, save_every_n_minutes=10) as manager:
        saved = []
        for step in range(1, 12):
            saved += due(manager, range(step, step + 1))
            clock.minutes += 4
    assert saved == [4, 5, 8, 10]


def test_after_a_restore_its_step_is_not_due_and_the_time_begins_anew(clock: Clock) -> None:
    run = MemoryRun()
    with run.manager() as manager:
        manager.save(10, tree(10))
        manager.save(23, tree(23))
    with run.manager(save_every_n_steps=10, save_every_n_minutes=60) as manager:
        clock.minutes += 59
        assert manager.restore_latest()[1] == 23
        clock.minutes += 2
        assert [step for step in range(23, 41) if manager.should_save(step)] == [30, *range(31, 41)]
        clock.minutes += 60
        assert not manager.should_save(23)
        assert manager.should_save(24)
        manager.restore(10)
        assert [step for step in range(10, 31) if manager.should_save(step)] == list(range(20, 31))


def test_a_save_that_fails_leaves_the_next_step_due(clock: Clock) -> None:
    run = MemoryRun()
    store = FaultyStore(run.store, 3, error=ckpt.StorageError("the disk is full"))
    with run.manager(store, save_every_n_steps=10, save_every_n_minutes=60) as manager:
        manager.request_save()
        with pytest.raises(ckpt.StorageError, match="full"):
            manager.save(7, tree(7))
        assert manager.should_save(8)
        assert manager.save(8, tree(8)) is not None
        assert not manager.should_save(9)


def test_what_is_not_due_is_not_looked_at() -> None:
    run = MemoryRun()
    store = FaultyStore(run.store, 0)
    with run.manager(store, save_every_n_steps=10) as manager:
        assert manager.save(7, object()) is None
        assert store.operations == []
        with pytest.raises(ValueError):
            manager.save(-1, {})
        with pytest.raises(TypeError):
            manager.save(7, {}, {"loss": "low"})


def test_forced(clock: Clock) -> None:
    run = MemoryRun()
    with run.manager(save_every_n_steps=10, save_every_n_minutes=60) as manager:
        assert manager.save(7, tree(7), force=True) is not None
        assert not manager.should_save(8)
        assert manager.should_save(10)
        clock.minutes += 60
        assert not manager.should_save(7)
        assert manager.should_save(8)
    assert run.indexed == [7]


def test_on_demand_once() -> None:
    with MemoryRun().manager(save_every_n_steps=10) as manager:
        assert not manager.should_save(3)
        manager.request_save()
        manager.request_save()
        assert due(manager, range(4, 10)) == [4]


def test_on_demand_from_a_signal_handler_at_any_moment() -> None:
    """Also while the interrupted thread holds the lock: a handler that waits for it would wait for ever."""
    with MemoryRun().manager(save_every_n_steps=10) as manager:
        before = signal.signal(signal.SIGUSR1, lambda *_: manager.request_save())
        try:
            with manager._cadence._lock.get():
                signal.raise_signal(signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert manager.should_save(3)


def test_a_request_during_a_save_is_met_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryRun().manager(save_every_n_steps=10) as manager:
        save = manager._saves.save

        def interrupted(*arguments: Any) -> str | None:
            manager.request_save()
            return save(*arguments)

        monkeypatch.setattr(manager._saves, "save", interrupted)
        manager.request_save()
        assert manager.save(3, tree(3)) is not None
        assert manager.should_save(4)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"save_every_n_steps": 0}, ValueError),
        ({"save_every_n_steps": -5}, ValueError),
        ({"save_every_n_steps": 1.5}, TypeError),
        ({"save_every_n_minutes": 0}, ValueError),
        ({"save_every_n_minutes": float("nan")}, ValueError),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        MemoryRun().manager(**options)


@pytest.mark.parametrize("step", [-1, True, 1.0, None])
def test_what_is_no_step_is_not_due_but_refused(step: Any) -> None:
    with MemoryRun().manager() as manager, pytest.raises((TypeError, ValueError)):
        manager.should_save(step)
