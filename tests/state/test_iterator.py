"""Waiting for checkpoints, over time that is made up: nothing here sleeps."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.errors import ObjectNotFoundError, PermissionDeniedError, TransientStorageError
from cloudckpt.state import iterator
from cloudckpt.state.iterator import wait_for_new_checkpoint
from cloudckpt.storage.location import Location
from cloudckpt.testing.faults import FaultyStore
from tests.state.places import STORES, Place, fresh_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import ObjectServer

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")


class Time:
    """A clock that only sleeping moves, and what happens at its moments."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self.events: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.sleeps.append(seconds)
        self.now += seconds
        for event in [event for event in self.events if event[0] <= self.now]:
            self.events.remove(event)
            event[1]()

    def at(self, seconds: float, event: Callable[[], object]) -> None:
        """Let something happen so many seconds from now."""
        self.events.append((self.now + seconds, event))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(iterator, "time", clock)
    return clock


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Place:
    return fresh_place("memory", request)


def save(place: Place, name: str) -> None:
    ckpt.save(place / name, {"w": np.ones(2)}, storage_options=place.options)
    train.update_checkpoint_state(place.url, place / name, storage_options=place.options)


def wait(place: Place, last: str | None = None, **options: Any) -> str | None:
    return wait_for_new_checkpoint(place.url, last, **options, storage_options=place.options)


def iterate(place: Place, **options: Any) -> Any:
    return train.checkpoints_iterator(place.url, **options, storage_options=place.options)


@pytest.mark.parametrize("kind", STORES)
def test_what_comes_is_found_on_every_store(clock: Time, kind: str, request: pytest.FixtureRequest) -> None:
    place = fresh_place(kind, request)
    clock.at(3, lambda: save(place, "m-1"))
    assert wait(place) == place / "m-1"
    assert wait(place, place / "m-1", timeout=5) is None
    clock.at(3, lambda: save(place, "m-2"))
    assert wait(place, place / "m-1") == place / "m-2"


def test_what_is_there_is_found_at_once(clock: Time, memory: Place) -> None:
    save(memory, "m-1")
    assert wait(memory) == memory / "m-1"
    assert wait(memory, "another") == memory / "m-1"
    assert clock.sleeps == []


@pytest.mark.parametrize("timeout", [0, 0.25, 1, 7.5, 60])
def test_a_timeout_is_waited_for_exactly(clock: Time, memory: Place, timeout: float) -> None:
    assert wait(memory, timeout=timeout) is None
    assert clock.now == pytest.approx(1000 + timeout)


def test_what_comes_at_the_last_moment_is_found(clock: Time, memory: Place) -> None:
    clock.at(29.999, lambda: save(memory, "m-1"))
    assert wait(memory, timeout=30) == memory / "m-1"


def test_pauses_grow_up_to_a_bound_and_are_random(clock: Time, memory: Place) -> None:
    wait(memory, timeout=1000)
    bounds = [1.0, 2.0, 4.0, 8.0, *(iterator.LONGEST_PAUSE,) * 1000]
    whole = clock.sleeps[:-1]
    assert all(bound / 2 <= sleep <= bound for sleep, bound in zip(whole, bounds, strict=False))
    assert len(set(whole)) > len(whole) / 2
    assert len(whole) <= 1000 / (iterator.LONGEST_PAUSE / 2)


@pytest.mark.parametrize("seconds", [0.01, 60])
def test_seconds_to_sleep(clock: Time, memory: Place, seconds: float) -> None:
    wait(memory, seconds_to_sleep=seconds, timeout=1000)
    longest = max(seconds, iterator.LONGEST_PAUSE)
    assert seconds / 2 <= clock.sleeps[0] <= seconds
    assert max(clock.sleeps) <= longest


def test_a_relative_directory_gives_relative_paths(
    clock: Time, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Place("run"), "m-1")
    assert wait(Place("run")) == "run/m-1"
    assert wait(Place("run"), "run/m-1", timeout=1) is None


def test_each_checkpoint_is_given_once_until_the_timeout(clock: Time, memory: Place) -> None:
    for number in (1, 2, 3):
        clock.at(10 * number, lambda name=f"m-{number}": save(memory, name))
    assert list(iterate(memory, timeout=25)) == [memory / f"m-{number}" for number in (1, 2, 3)]
    assert clock.now == pytest.approx(1030 + 25, abs=iterator.LONGEST_PAUSE)


def test_between_two_there_are_min_interval_secs(clock: Time, memory: Place) -> None:
    save(memory, "m-1")
    checkpoints = iterate(memory, min_interval_secs=100, timeout=1)
    next(checkpoints)
    save(memory, "m-2")
    clock.now += 30  # the user's own work counts
    assert next(checkpoints) == memory / "m-2"
    assert clock.sleeps == [70]


def test_timeout_fn_ends_it_or_lets_it_wait_on(clock: Time, memory: Place) -> None:
    answers = iter([False, False, True])
    asked: list[float] = []

    def is_over() -> bool:
        asked.append(clock.now)
        return next(answers)

    clock.at(15, lambda: save(memory, "m-1"))
    assert list(iterate(memory, timeout=10, timeout_fn=is_over)) == [memory / "m-1"]
    assert asked[0] == pytest.approx(1010)  # after a timeout, after the checkpoint, and after another timeout
    assert asked[2] == pytest.approx(asked[1] + 10)


def test_timeout_fn_is_asked_after_each_checkpoint(clock: Time, memory: Place) -> None:
    save(memory, "m-1")
    assert list(iterate(memory, timeout_fn=lambda: True)) == [memory / "m-1"]


def test_nothing_is_looked_at_before_the_first_is_asked_for(memory: Place) -> None:
    iterate(Place("no-such-protocol://x"), timeout=0)


def faulty(
    memory: Place, monkeypatch: pytest.MonkeyPatch, *failing: int, error: Exception | None = None
) -> FaultyStore:
    """The store through which the next wait looks; the operations of those numbers fail."""

    class Failing(FaultyStore):
        def get(self, key: str) -> Any:
            self._fail_at = next((number for number in failing if number > len(self.operations)), 0)
            return super().get(key)

    directory = memory.open()
    store = Failing(directory.store, 0, error=error)
    monkeypatch.setattr(iterator, "open_location", lambda *_: Location(store, directory.key))
    return store


def test_a_store_that_fails_for_a_while_is_waited_for(
    clock: Time, memory: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save(memory, "m-1")
    faulty(memory, monkeypatch, 1, 2, error=TransientStorageError("connection reset"))
    with caplog.at_level(logging.WARNING, "cloudckpt"):
        assert wait(memory, timeout=30) == memory / "m-1"
    assert caplog.text.count("connection reset") == 2
    assert len(clock.sleeps) == 2


def test_a_store_that_stays_away_is_a_timeout(clock: Time, memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    save(memory, "m-1")
    faulty(memory, monkeypatch, *range(1, 1000), error=TransientStorageError("connection reset"))
    assert wait(memory, timeout=30) is None


def test_no_permission_raises(clock: Time, memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty(memory, monkeypatch, 1, error=PermissionDeniedError("not for you"))
    with pytest.raises(PermissionError):
        wait(memory, timeout=30)
    assert clock.sleeps == []


def test_no_bucket_raises(clock: Time, object_server: ObjectServer) -> None:
    with pytest.raises(ObjectNotFoundError):
        wait(Place(f"{object_server.scheme}://no-such-bucket-here/run", object_server.storage_options), timeout=30)


@pytest.mark.parametrize("missing", ["m-2.index", "m-2.data-00000-of-00001"])
def test_one_that_is_being_copied_is_waited_for(clock: Time, memory: Place, missing: str) -> None:
    """The state file came first; no older checkpoint is taken in its place, and nothing is warned of."""
    save(memory, "m-1")
    ckpt.save(memory / "m-2", {"w": np.ones(2)})
    train.update_checkpoint_state(memory.url, memory / "m-2", [memory / "m-1", memory / "m-2"])
    data = memory.read(missing)
    with memory.open() as directory:
        directory.store.delete([directory.child(missing).key])
    clock.at(5, lambda: memory.write(missing, data))
    assert wait(memory, memory / "m-1", timeout=30) == memory / "m-2"
    assert clock.now >= 1005


def test_a_state_file_that_is_half_there_is_waited_for(clock: Time, memory: Place) -> None:
    memory.write("checkpoint", b'model_checkpoint_path: "m-')
    clock.at(5, lambda: save(memory, "m-1"))
    assert wait(memory, timeout=30) == memory / "m-1"


def test_a_look_costs_a_read_as_long_as_nothing_is_new(
    clock: Time, memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(memory, "m-1")
    store = faulty(memory, monkeypatch)
    assert wait(memory, memory / "m-1", timeout=20) is None
    assert set(store.operations) == {"get checkpoint"}
    store.operations.clear()
    assert wait(memory) == memory / "m-1"
    assert store.operations == ["get checkpoint", "get m-1.index", "list m-1."]


def test_no_look_takes_longer_than_the_timeout(memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is cut off: by the real clock, and without the made-up one."""
    monkeypatch.setattr(iterator, "SHORTEST_LOOK", 0.1)
    limits: list[float | None] = []
    real = iterator.time_limit

    def limited(seconds: float | None) -> Any:
        limits.append(seconds)
        return real(seconds)

    monkeypatch.setattr(iterator, "time_limit", limited)
    assert wait(memory, timeout=0.05) is None
    assert all(seconds is not None and seconds <= 0.1 for seconds in limits)
    threading.Timer(0.2, lambda: save(memory, "m-1")).start()
    limits.clear()
    assert wait(memory, seconds_to_sleep=0.01) == memory / "m-1"
    assert set(limits) == {None}
