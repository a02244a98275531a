"""Ctrl-C, and errors of any kind, in the middle of a save or a load: nothing half, and no thread left running."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import Location
from cloudckpt.testing.faults import FaultyStore
from tests.faults.states import files, held, named, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError], ids=lambda error: error.__name__)
@pytest.mark.parametrize("start", [None, 1], ids=["fresh", "overwrite"])
def test_an_interrupted_save_is_whole_or_not_there(
    place: Location, start: int | None, error: type[BaseException]
) -> None:
    for number in count(1):
        place.store.delete(files(place))
        if start is not None:
            save_tree(place, state(start))
        store = FaultyStore(place.store, number, "before", error=error())
        try:
            save_tree(Location(store, place.key), state(2))
        except error:
            committing = "put ckpt.index" in store.operations
            assert held(place) in ({start, 2} if committing else {start})
            assert committing or files(place) == named(place), store.operations
        if not store.failed:
            break
        assert not any(thread.name.startswith("cloudckpt") for thread in threading.enumerate())
    assert held(place) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError], ids=lambda error: error.__name__)
def test_an_interrupted_load_raises_what_interrupted_it(place: Location, error: type[BaseException]) -> None:
    save_tree(place, state(1))
    for number in count(1):
        store = FaultyStore(place.store, number, "before", error=error())
        if not store_fails(store, place, error):
            break
    assert number > 4
    assert held(place) == 1


def store_fails(store: FaultyStore, place: Location, error: type[BaseException]) -> bool:
    """Whether a load through the store is interrupted, as it must be whenever an operation was."""
    try:
        load_tree(Location(store, place.key))
    except error:
        return True
    assert not store.failed
    return False


def test_ctrl_c_while_the_threads_work_waits_for_them_and_starts_no_more() -> None:
    started: list[int] = []
    finished: list[int] = []

    def task(number: int) -> None:
        started.append(number)
        if number == 20:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        finished.append(number)

    with pytest.raises(KeyboardInterrupt):
        run_side_by_side((partial(task, number) for number in range(500)), threads=2)
    assert 0 < len(started) < 500
    assert sorted(started) == sorted(finished)


def test_a_failing_source_of_tasks_ends_all() -> None:
    def tasks() -> Iterator[Callable[[], None]]:
        yield lambda: None
        raise RuntimeError("no more of these")

    with pytest.raises(RuntimeError, match="no more of these"):
        run_side_by_side(tasks(), threads=3)
