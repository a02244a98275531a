"""How long a save may take: `CommitTimeoutError`, and how a directory allows more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint import save_time
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.partial import commit_partials, write_partial
from cloudckpt.checkpoint.reader import read_consistently
from cloudckpt.checkpoint.standing import look
from cloudckpt.errors import CommitConflictError, CommitTimeoutError
from cloudckpt.testing.faults import FaultyStore
from tests.faults.hooked import HookedStore
from tests.garbage.places import DAY, HOUR, Directory, UnconditionalMemory, committed, tensors
from tests.manager.runs import manager_at, same, tree
from tests.manager.test_stores import CONDITIONAL, opener

if TYPE_CHECKING:
    from cloudckpt.storage.store import Store


def advancing(run: Directory, operation: str, seconds: float) -> Store:
    """The directory's store; before each of those operations its clock advances."""

    def advance(_: int, name: str) -> None:
        if name == operation:
            run.clock.now += seconds

    return HookedStore(run.store, before=advance)


def test_p12_a_save_that_took_too_long_is_not_committed() -> None:
    run = Directory()
    save_tensors(run.prefix("ckpt"), tensors(1))
    before = run.files
    with pytest.raises(CommitTimeoutError, match=r"began 12\.1 hours ago.*max_save_time") as raised:
        save_tensors(run.prefix("ckpt", advancing(run, "create", 12.1 * HOUR)), tensors(2))
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.path == "memory://run/ckpt"
    assert run.files == before  # what it had written is deleted


def test_p12_a_save_has_twelve_hours() -> None:
    run = Directory()
    save_tensors(run.prefix("ckpt", advancing(run, "create", 12 * HOUR)), tensors(2))
    assert committed(run.location)


def test_p12_a_partial_save_counts_from_the_look_that_named_its_files() -> None:
    run = Directory()
    place = run.prefix("ckpt")
    standing = look(place)
    share = standing.choose_names(1)
    run.clock.now += 11 * HOUR
    part = write_partial(place, tensors(1), share)
    run.clock.now += 2 * HOUR
    with pytest.raises(CommitTimeoutError):
        commit_partials(standing, [part])
    assert run.files == []


@pytest.mark.parametrize("kind", [Directory, lambda: Directory(UnconditionalMemory)])
@pytest.mark.parametrize("replaced", [False, True])
def test_p12_an_index_that_arrives_a_day_late_is_withdrawn(kind: Any, replaced: bool) -> None:
    """The process was stopped between its look at the clock and the write of the index."""
    run = kind()
    if replaced:
        save_tensors(run.prefix("ckpt"), tensors(1))
    before = committed(run.location)
    with pytest.raises(CommitTimeoutError):
        save_tensors(run.prefix("ckpt", advancing(run, "put", 25 * HOUR)), tensors(2))
    assert committed(run.location) == before
    assert run.files == [name for names in before.values() for name in sorted(names)]


@pytest.mark.parametrize("kind", [Directory, lambda: Directory(UnconditionalMemory)])
def test_p12_withdrawing_a_late_index_spares_what_has_replaced_it(kind: Any) -> None:
    run = kind()

    def act(_: int, name: str) -> None:
        if name == "put":
            run.clock.now += 25 * HOUR

    def replace(number: int, name: str) -> None:
        if name == "put":
            save_tensors(run.prefix("ckpt"), tensors(3))

    late = HookedStore(run.store, before=act, after=replace)
    with pytest.raises(CommitTimeoutError):
        save_tensors(run.prefix("ckpt", late), tensors(2))
    assert list(committed(run.location)) == ["ckpt"]
    assert same_tensors(run, 3)


@pytest.mark.parametrize("replaced", [False, True])
def test_p12_a_late_index_that_can_t_be_withdrawn_keeps_its_data(replaced: bool) -> None:
    run = Directory(UnconditionalMemory)
    if replaced:
        save_tensors(run.prefix("ckpt"), tensors(1))
    late = FaultyStore(advancing(run, "put", 25 * HOUR), 6 + replaced)
    with pytest.raises(CommitTimeoutError):
        save_tensors(run.prefix("ckpt", late), tensors(2))
    assert late.operations[4 + replaced] == "put ckpt.index"
    assert list(committed(run.location)) == ["ckpt"]
    assert same_tensors(run, 2)


def same_tensors(run: Directory, number: int) -> bool:
    """Whether the checkpoint is whole, and that of the number."""
    found = read_consistently(run.prefix("ckpt"), lambda checkpoint: checkpoint.read_named(checkpoint.tensors))
    return all(np.array_equal(found[name], array) for name, array in tensors(number).items())


def test_p12_an_index_that_is_late_but_before_any_collector_counts() -> None:
    run = Directory()
    save_tensors(run.prefix("ckpt", advancing(run, "put", 24 * HOUR)), tensors(2))
    assert committed(run.location)


@pytest.mark.parametrize("clock", ["time", "clock_gettime", "monotonic"])
def test_p12_after_an_hour_the_store_is_asked_for_its_time(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    """The latest answer of the store may be old: whoever waits for other processes makes no requests."""
    run = Directory()
    save_tensors(run.prefix("ckpt"), tensors(1))
    if clock == "monotonic":
        monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    machine = {"now": getattr(time, clock)(*([time.CLOCK_BOOTTIME] if clock == "clock_gettime" else []))}
    monkeypatch.setattr(save_time.time, clock, lambda *_: machine["now"])

    class LastAnswer(FaultyStore):
        """Its time is that of its latest answer to a request, as that of servers is."""

        latest = run.clock.now

        def operation(self, name: str, key: str, half: Any = lambda: None) -> Any:
            self.latest = run.clock.now
            return super().operation(name, key, half)

        def time(self) -> float:
            return self.latest

    store = LastAnswer(run.store, 0)
    standing = look(run.prefix("ckpt", store))
    share = standing.choose_names(1)
    part = write_partial(run.prefix("ckpt"), tensors(2), share)  # by another process
    run.clock.now += 13 * HOUR
    machine["now"] += 13 * HOUR
    with pytest.raises(CommitTimeoutError):
        commit_partials(standing, [part])


def test_p12_a_short_save_makes_no_request_for_the_time() -> None:
    run = Directory()
    store = FaultyStore(run.store, 0)
    save_tensors(run.prefix("ckpt", store), {"w": np.zeros(3)})
    assert [operation.partition(" ")[0] for operation in store.operations] == [
        "list", "create", "write", "complete", "put",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
@pytest.mark.parametrize("name", [*CONDITIONAL, "filesystem"])
def test_p12_every_store_has_or_has_not_a_clock(name: str, request: pytest.FixtureRequest) -> None:
    with opener(name, request)() as location:
        standing = look(location.child("ckpt"))
        assert bool(standing.clock.began) is location.store.capabilities.server_times is (name != "filesystem")
        save_tensors(location.child("ckpt"), tensors(1))
        assert committed(location)


def manager_with(run: Directory, store: Store | None = None, **options: Any) -> ckpt.CheckpointManager:
    return manager_at(run.on(store or run.store), **options)


def test_p12_max_save_time_stands_in_the_state_before_anything_is_uploaded() -> None:
    run = Directory()
    store = FaultyStore(run.store, 0)
    with manager_with(run, store, max_save_time=3 * DAY) as manager:
        manager.save(1, tree(1))
        puts = [operation for operation in store.operations if operation.startswith(("put", "create"))]
        assert puts[:2] == ["put checkpoint", "create ckpt-1.data-00000-of-00001"]
        assert b'"max_save_time": 259200.0' in run.store.get("run/checkpoint")[0]
        store.operations.clear()
        manager.save(2, tree(2))
        assert [operation for operation in store.operations if operation.endswith(" checkpoint")] == [
            "get checkpoint", "put checkpoint",
        ]  # fmt: skip


def test_p12_a_longer_save_is_committed_and_no_collector_takes_its_data() -> None:
    run = Directory()
    collected = []

    def collect(_: int, name: str) -> None:
        if name in {"write", "complete"}:
            run.clock.now += DAY
            collected.extend(run.collect().found)

    with manager_with(run, HookedStore(run.store, after=collect), max_save_time=5 * DAY) as manager:
        for step in (1, 2):
            manager.save(step, tree(step))
    assert collected == []
    with manager_with(run) as manager:
        assert same(manager.restore_latest()[0], tree(2))


def test_p12_max_save_time_stays_through_every_transition() -> None:
    run = Directory()
    with manager_with(run, max_save_time=2 * DAY, max_to_keep=2) as manager:
        for step in (1, 2, 3, 2):  # one more, retention, and back
            manager.save(step, tree(step))
    with manager_with(run, max_to_keep=1) as manager:  # one that knows of no such time
        manager.restore_latest()
        for step in (3, 4):
            manager.save(step, tree(step))
        assert manager.collect_garbage().min_age == 4 * DAY
    with manager_with(run, max_save_time=DAY) as manager:
        manager.restore_latest()
        manager.save(5, tree(5))
    assert run.collect().min_age == 4 * DAY


def test_p12_a_manager_s_limit_may_be_shorter() -> None:
    run = Directory()
    with manager_with(run, advancing(run, "create", 61), max_save_time=60) as manager:
        with pytest.raises(CommitTimeoutError) as raised:
            manager.save(1, tree(1))
        assert raised.value.step == 1
        assert run.files == []
    assert run.collect().min_age == DAY


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_p12_a_longer_save_needs_the_state_that_allows_it(change: str) -> None:
    """Another program has rewritten the state meanwhile: collectors may not have known how long this save takes."""
    run = Directory()

    def rewrite(_: int, name: str) -> None:
        if name == "create" and change == "replaced":
            run.write("checkpoint", data=b'model_checkpoint_path: "ckpt-7"')
        elif name == "create":
            run.store.delete(["run/checkpoint"])

    with manager_with(run, HookedStore(run.store, before=rewrite), max_save_time=2 * DAY) as manager:
        with pytest.raises(CommitConflictError):
            manager.save(1, tree(1))
        with pytest.raises(CommitConflictError):
            manager.save(2, tree(2))
    assert set(run.files) <= {"checkpoint"}


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 366 * DAY])
def test_a_max_save_time_that_can_t_be(seconds: float) -> None:
    with pytest.raises(ValueError, match="max_save_time"):
        ckpt.CheckpointManager("memory://run", max_save_time=seconds)
