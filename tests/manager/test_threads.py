"""One manager, several threads: saves behind, looks and restores meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.testing.faults import FaultyStore
from tests.manager.runs import MemoryRun, same, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stopping(FaultyStore):
    """A store that stops before one operation until it is told to go on."""

    def __init__(self, run: MemoryRun, stop_at: str = "") -> None:
        super().__init__(run.store, 0)
        self.stop_at = stop_at
        self.stopped = threading.Event()
        self.go_on = threading.Event()

    def operation(self, name: str, key: str, half: Callable[[], object] = lambda: None) -> Any:
        if f"{name} {key.rpartition('/')[2]}" == self.stop_at and not self.stopped.is_set():
            self.stopped.set()
            assert self.go_on.wait(30)
        return super().operation(name, key, half)


@pytest.fixture
def run() -> MemoryRun:
    """A directory with the steps 10 and 20."""
    run = MemoryRun()
    with run.manager() as manager:
        for step in (10, 20):
            manager.save(step, tree(step))
    return run


@pytest.fixture
def behind() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.mark.parametrize("stop_at", ["create ckpt-30.data-00000-of-00001", "put ckpt-30.index"])
def test_while_data_is_sent_every_other_method_goes_on(
    run: MemoryRun, behind: ThreadPoolExecutor, stop_at: str
) -> None:
    store = Stopping(run, stop_at)
    with run.manager(store) as manager:
        manager.restore_latest()
        saving = behind.submit(manager.save, 30, tree(30))
        assert store.stopped.wait(30)
        assert manager.latest_step() == 20
        assert manager.all_steps() == [10, 20]
        assert manager.restore_latest()[1] == 20
        assert same(manager.restore(10), tree(10))
        assert manager.metrics(10) == {}
        assert manager.best_step("loss") is None
        assert manager.should_save(31)
        store.go_on.set()
        assert saving.result(30) is not None
        manager.save(40, tree(40), force=True)
    assert run.named == run.indexed == [10, 20, 30, 40]


@pytest.mark.parametrize("stop_at", ["list ckpt-", "get ckpt-20.index", "read ckpt-20.data-00000-of-00001"])
@pytest.mark.parametrize("newest", [False, True])
def test_a_restore_that_a_save_has_overtaken_leaves_its_state(
    run: MemoryRun, behind: ThreadPoolExecutor, stop_at: str, newest: bool
) -> None:
    """What it has looked at is older than what is held: to hold that would be to lose to oneself."""
    store = Stopping(run)
    with run.manager(store) as manager:
        manager.save(30, tree(30))
        manager.delete(30)
        store.stop_at = stop_at
        restoring = behind.submit(manager.restore_latest) if newest else behind.submit(manager.restore, 20)
        assert store.stopped.wait(30)
        manager.save(40, tree(40))
        store.go_on.set()
        restoring.result(30)
        manager.save(50, tree(50))
        assert manager.restore_latest()[1] == 50
    assert run.named == run.indexed == [10, 20, 40, 50]


def test_saves_and_deletions_come_one_after_another(run: MemoryRun, behind: ThreadPoolExecutor) -> None:
    store = Stopping(run, "put ckpt-30.index")
    with run.manager(store) as manager:
        first = behind.submit(manager.save, 30, tree(30))
        assert store.stopped.wait(30)
        others = [behind.submit(manager.delete, 10), behind.submit(manager.save, 40, tree(40))]
        assert not any(each.done() for each in others)
        store.go_on.set()
        for each in (first, *others):
            each.result(30)
        assert manager.all_steps() == run.named == run.indexed == [20, 30, 40]


def test_many_of_all_kinds_at_once(run: MemoryRun, behind: ThreadPoolExecutor) -> None:
    with run.manager(max_to_keep=None, keep_every_n_hours=1) as manager:
        manager.restore_latest()
        saving = behind.submit(lambda: [manager.save(step, tree(step), {"loss": 1.0}) for step in range(30, 90)])
        seen = []
        while not saving.done():
            state, step = manager.restore_latest()
            assert same(state, tree(step))
            seen.append(step)
            assert step in manager.all_steps()
            assert manager.latest_step() >= step
        saving.result()
        assert seen == sorted(seen)
        manager.save(90, tree(90))
    assert run.named == run.indexed == [10, 20, *range(30, 91)]
