"""A saver's list of its checkpoints, and what it deletes; tests/tensorflow compares the list with the real one's."""

from __future__ import annotations

import logging
import math
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.errors import CommitConflictError, InvalidArgumentError, PermissionDeniedError, TransientStorageError
from cloudckpt.saver import last_checkpoints
from cloudckpt.saver.last_checkpoints import LastCheckpoints
from cloudckpt.testing.faults import FaultyStore
from tests.saver.small_saver import SmallSaver
from tests.state.places import CONDITIONAL, STORES, Place, fresh_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudckpt.storage.store import Store
    from tests.servers import ObjectServer

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")

ENDS = (".data-00000-of-00001", ".index", ".meta")


class Clock:
    """A clock that only a test moves; in hours."""

    def __init__(self) -> None:
        self.hours = 100.0

    def time(self) -> float:
        return self.hours * 3600


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(last_checkpoints, "time", clock)
    return clock


def saved(place: Place) -> list[str]:
    """The checkpoints of version 2 that are there whole, and nothing of any other."""
    names = [name.removesuffix(".index") for name in place.files if name.endswith(".index")]
    # Data of one that was overwritten has names by chance.
    of_them = re.compile(rf"({'|'.join(map(re.escape, names))})\.(index|meta|data-\d{{5}}-of-\d{{5}})")
    others = {name for name in place.files if not of_them.fullmatch(name)}
    assert others <= {"checkpoint", "best", "other"}
    for name in names:
        ckpt.load(place / name, storage_options=place.options)
    return names


def state_of(place: Place, name: str = "checkpoint") -> list[str]:
    state = train.get_checkpoint_state(place.url, name, storage_options=place.options)
    return [path.rpartition("/")[2] for path in state.all_model_checkpoint_paths]


def test_the_last_ones_are_kept_on_every_store(place: Place) -> None:
    saver = SmallSaver(max_to_keep=2, options=place.options)
    for step in range(5):
        saver.save(place / f"m-{step}")
        assert saved(place) == [f"m-{kept}" for kept in range(max(0, step - 1), step + 1)] == state_of(place)
        assert saver.last.names == [place / name for name in state_of(place)]
    assert train.latest_checkpoint(place.url, storage_options=place.options) == place / "m-4"


@pytest.mark.parametrize("shards", [0, 2])
def test_files_of_version_1_on_every_store(place: Place, shards: int) -> None:
    saver = SmallSaver(max_to_keep=1, options=place.options, format_version=1, shards=shards)
    for step in range(3):
        saver.save(place / f"m-{step}")
    expected = ["m-2-00000-of-00002", "m-2-00001-of-00002"] if shards else ["m-2"]
    assert place.files == ["checkpoint", *expected, "m-2.meta"]


@pytest.mark.parametrize("max_to_keep", [None, 0])
def test_none_and_0_keep_all_and_list_none(memory: Place, max_to_keep: int | None) -> None:
    saver = SmallSaver(max_to_keep=max_to_keep)
    for step in range(7):
        saver.save(memory / f"m-{step}")
    assert saver.last.names == []
    assert saved(memory) == [f"m-{step}" for step in range(7)]
    assert state_of(memory) == ["m-6"]


def test_a_negative_max_to_keep_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="max_to_keep"):
        LastCheckpoints(-1, 1.0)


def test_one_every_n_hours_stays(memory: Place, clock: Clock) -> None:
    saver = SmallSaver(max_to_keep=1, keep_every_n_hours=2)
    for step in range(10):
        clock.hours = 100 + step + 0.5
        saver.save(memory / f"m-{step}")
    # Saved later than 2, 4, 6 and 8 hours after the beginning, each as the first; and the last one.
    assert saved(memory) == ["m-2", "m-4", "m-6", "m-8", "m-9"]
    assert saver.last.names == [memory / "m-9"]


def test_no_hours_keep_all_that_is_saved_later(memory: Place, clock: Clock) -> None:
    saver = SmallSaver(max_to_keep=1, keep_every_n_hours=None)
    for step in range(3):
        clock.hours = 100 + step
        saver.save(memory / f"m-{step}")
    assert saved(memory) == ["m-1", "m-2"]


def test_one_that_is_saved_again_is_the_newest(memory: Place) -> None:
    saver = SmallSaver(max_to_keep=3)
    for step in (1, 2, 3, 1, 4):
        saver.save(memory / f"m-{step}", step)
    assert saver.last.names == [memory / f"m-{step}" for step in (3, 1, 4)]
    assert sorted(saved(memory)) == ["m-1", "m-3", "m-4"]


def test_the_list_is_a_fresh_one(memory: Place) -> None:
    saver = SmallSaver()
    saver.save(memory / "m-1")
    saver.last.names.clear()
    assert saver.last.names == [memory / "m-1"]


def test_set_keeps_them_for_good(memory: Place) -> None:
    SmallSaver().save(memory / "m-1")
    saver = SmallSaver(max_to_keep=1, keep_every_n_hours=0)
    saver.last.set([memory / "m-1"])
    assert saver.last.names == [memory / "m-1"]
    saver.save(memory / "m-2")
    assert saver.last.names == [memory / "m-2"]
    assert saved(memory) == ["m-1", "m-2"]


def test_set_with_time_takes_the_times(memory: Place, clock: Clock) -> None:
    before = SmallSaver(max_to_keep=None)
    for step in range(4):
        before.save(memory / f"m-{step}")
    saver = SmallSaver(max_to_keep=3, keep_every_n_hours=1)
    given = [(memory / "m-0", 0.0), (memory / "m-1", clock.time() + 3601), (memory / "m-2", math.inf)]
    saver.last.set_with_time(given)
    for step in (3, 4, 5):
        saver.save(memory / f"m-{step}")
    assert saved(memory) == ["m-1", "m-2", "m-3", "m-4", "m-5"]
    assert len(given) == 3


@pytest.mark.parametrize("given", [None, ("m-1",), {"m-1"}, "m-1"])
def test_set_raises_for_what_is_no_list(given: Any) -> None:
    last = LastCheckpoints(1, 1.0)
    with pytest.raises(AssertionError):
        last.set(given)
    with pytest.raises(AssertionError):
        last.set_with_time(given)


def test_recover_takes_those_that_are_there_on_every_store(place: Place) -> None:
    before = SmallSaver(max_to_keep=None, options=place.options)
    for step in (1, 2, 3):
        before.save(place / f"m-{step}")
    train.remove_checkpoint(place / "m-2", storage_options=place.options)
    saver = SmallSaver(max_to_keep=2, options=place.options)
    saver.last.recover([place / f"m-{step}" for step in (0, 1, 2, 3)])
    assert saver.last.names == [place / "m-1", place / "m-3"]
    saver.save(place / "m-4")
    assert saved(place) == ["m-3", "m-4"]


def test_recover_takes_the_mtimes(tmp_path: Path, clock: Clock) -> None:
    run = Place(str(tmp_path))
    SmallSaver(max_to_keep=None).save(run / "m-1")
    SmallSaver(max_to_keep=None).save(run / "m-2")
    saver = SmallSaver(max_to_keep=1, keep_every_n_hours=1)
    for name, hours in (("m-1", 100.5), ("m-2", 101.5)):
        os.utime(tmp_path / f"{name}.index", (hours * 3600, hours * 3600))
    saver.last.recover([run / "m-1", run / "m-2"])
    saver.save(run / "m-3")
    saver.save(run / "m-4")
    assert saved(run) == ["m-2", "m-3", "m-4"]  # one is dropped at a save


def test_recover_raises_where_the_store_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: object, key: str) -> None:
        raise PermissionDeniedError(f"{key}: not for you", path=key)

    monkeypatch.setattr("cloudckpt.storage.local.store.LocalStore.stat", denied)
    with pytest.raises(PermissionError):
        LastCheckpoints(1, 1.0).recover([str(tmp_path / "m-1")])


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saver = SmallSaver(max_to_keep=1)
    for step in (1, 2):
        saver.save(f"run/m-{step}")
    assert saver.last.names == ["run/m-2"]
    assert state_of(Place("run")) == saved(Place("run")) == ["m-2"]


def test_one_that_was_saved_in_another_directory_is_deleted_there(place: Place) -> None:
    saver = SmallSaver(max_to_keep=1, options=place.options)
    saver.save(place / "one/m-1")
    saver.save(place / "two/m-2")
    assert Place(place / "one", place.options).files == ["checkpoint"]
    assert saved(Place(place / "two", place.options)) == ["m-2"]


@pytest.mark.parametrize("again", ["run/m-1", "./run/m-1", "{}/run/m-1"])
def test_one_that_is_kept_under_another_spelling_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    monkeypatch.chdir(tmp_path)
    saver = SmallSaver(max_to_keep=1)
    saver.save("run/m-1")
    saver.last.set_with_time([("run/m-1", 0.0)])  # which forgets what was saved
    saver.save(again.format(tmp_path))
    assert saved(Place("run")) == ["m-1"]


# What can't be deleted now.


def operations_of(saver: SmallSaver, path: str) -> list[str]:
    """The operations of a save."""
    stores: list[FaultyStore] = []

    def counted(store: Store) -> Store:
        stores.append(FaultyStore(store, 0))
        return stores[-1]

    saver.through = counted
    saver.save(path)
    return stores[0].operations


def test_what_a_deletion_costs(memory: Place) -> None:
    saver = SmallSaver(max_to_keep=1)
    assert operations_of(saver, memory / "m-1")[-2:] == ["get checkpoint", "put checkpoint"]
    assert operations_of(saver, memory / "m-2")[-4:] == [
        "list ",
        "get m-1.index",
        "delete_if_version m-1.index",
        "delete m-1.data-00000-of-00001",
    ]


def failing(pattern: str, mode: Any = "before", error: Exception | None = None) -> Callable[[Store], Store]:
    """Through this, operations of that description fail, all of them."""

    class Failing(FaultyStore):
        def operation(self, name: str, key: str, half: Any = lambda: None) -> Any:
            described = f"{name} {key.rpartition('/')[2]}"
            self._fail_at = len(self.operations) + 1 if re.fullmatch(pattern, described) else 0
            return super().operation(name, key, half)

    return lambda store: Failing(store, 0, mode, error=error)


STEPS = ["list ", "get m-1.index", "delete_if_version m-1.index", "delete m-1.data-00000-of-00001"]


@pytest.mark.parametrize("mode", ["before", "after", "during"])
@pytest.mark.parametrize("step", STEPS)
def test_a_deletion_that_fails_is_reported_and_done_at_the_next_save(
    memory: Place, caplog: pytest.LogCaptureFixture, step: str, mode: str
) -> None:
    saver = SmallSaver(max_to_keep=1)
    saver.save(memory / "m-1")
    saver.through = failing(step, mode, TransientStorageError("out of order"))
    with caplog.at_level(logging.WARNING, "cloudckpt"):
        saver.save(memory / "m-2")
    assert saver.last.names == [memory / "m-2"]
    (record,) = caplog.records
    assert memory / "m-1" in record.getMessage()
    assert "out of order" in record.getMessage()
    saver.through = lambda store: store
    saver.save(memory / "m-3")
    assert saved(memory) == ["m-3"]


def test_deletions_that_fail_for_long_are_all_done_at_last(memory: Place) -> None:
    saver = SmallSaver(max_to_keep=1)
    saver.through = failing("delete.*")
    for step in range(5):
        saver.save(memory / f"m-{step}")
    assert len(saved(memory)) == 5
    saver.through = lambda store: store
    saver.save(memory / "m-5")
    assert saved(memory) == ["m-5"]


@pytest.mark.parametrize("step", STEPS)
def test_one_that_was_not_deleted_and_is_saved_again_stays(memory: Place, step: str) -> None:
    saver = SmallSaver(max_to_keep=1)
    saver.save(memory / "m-1", 1)
    saver.through = failing(step)
    saver.save(memory / "m-2", 2)
    saver.through = lambda store: store
    saver.save(memory / "m-1", 3)
    assert saved(memory) == ["m-1"]
    assert ckpt.load(memory / "m-1")["w"].tolist() == [3, 3]


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("step", ["get m-1.index", "delete m-1.data-00000-of-00001"])
def test_one_that_was_not_deleted_and_another_saver_has_saved_stays(
    kind: str, step: str, request: pytest.FixtureRequest
) -> None:
    place = fresh_place(kind, request)
    saver = SmallSaver(max_to_keep=1, options=place.options)
    saver.save(place / "m-1", 1)
    saver.through = failing(step)
    saver.save(place / "m-2", 2)
    SmallSaver(max_to_keep=None, latest_filename="other", options=place.options).save(place / "m-1", 3)
    saver.through = lambda store: store
    saver.save(place / "m-3", 4)
    assert ckpt.load(place / "m-1", storage_options=place.options)["w"].tolist() == [3, 3]


def test_nothing_is_deleted_before_the_state_is_written(memory: Place) -> None:
    saver = SmallSaver(max_to_keep=1)
    saver.save(memory / "m-1")
    saver.through = failing("put checkpoint")
    with pytest.raises(TransientStorageError):
        saver.save(memory / "m-2")
    assert saved(memory) == ["m-1", "m-2"]
    assert state_of(memory) == ["m-1"]
    saver.through = lambda store: store
    saver.save(memory / "m-3")
    assert saved(memory) == state_of(memory) == ["m-3"]


def test_a_state_file_that_others_always_win_is_a_conflict_after_the_commit(
    memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudckpt.errors import PreconditionFailedError
    from cloudckpt.state import update

    monkeypatch.setattr(update, "FIRST_PAUSE", 0.0)
    saver = SmallSaver(max_to_keep=1)
    saver.save(memory / "m-1")
    saver.through = failing("put checkpoint", error=PreconditionFailedError("another was first"))
    with pytest.raises(CommitConflictError) as failure:
        saver.save(memory / "m-2")
    assert failure.value.committed == memory / "m-2"
    assert saved(memory) == ["m-1", "m-2"]


# Two savers in one directory.


def test_one_that_another_saver_has_overwritten_is_let_go(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    first = SmallSaver(max_to_keep=1, options=place.options)
    second = SmallSaver(max_to_keep=None, latest_filename="other", options=place.options)
    first.save(place / "m-1", 1)
    second.save(place / "m-1", 2)
    second.save(place / "m-9", 9)  # so that its state file no longer names the first
    with caplog.at_level(logging.WARNING, "cloudckpt"):
        first.save(place / "m-2", 3)
        first.save(place / "m-3", 4)
    assert saved(place) == ["m-1", "m-3", "m-9"]
    assert ckpt.load(place / "m-1", storage_options=place.options)["w"].tolist() == [2, 2]
    assert caplog.text.count("was to be deleted, and stays") == 1


@pytest.mark.parametrize("keep", [(1, 3), (3, 1), (1, 1), (2, 5)])
@pytest.mark.parametrize("order", ["first", "second"])
def test_two_state_files_name_nothing_that_is_gone(memory: Place, keep: tuple[int, int], order: str) -> None:
    """Two savers save the same steps under the same names, each with a state file of its own."""
    savers = [
        (SmallSaver(max_to_keep=number), name)
        if name == "checkpoint"
        else (SmallSaver(max_to_keep=number, latest_filename=name), name)
        for number, name in zip(keep, ("checkpoint", "best"), strict=True)
    ]
    for step in range(8):
        for saver, _ in savers if order == "first" else reversed(savers):
            saver.save(memory / f"m-{step}", step)
        for (_, name), number in zip(savers, keep, strict=True):
            assert state_of(memory, name) == [f"m-{kept}" for kept in range(max(0, step + 1 - number), step + 1)]
            assert set(state_of(memory, name)) <= set(saved(memory))
    # What neither names any more is gone, but for one that the last to save it let go of before the other did.
    assert saved(memory) == [f"m-{kept}" for kept in range(8 - max(keep), 8)]


def test_what_another_state_file_names_is_deleted_when_it_does_not_any_more(place: Place) -> None:
    saver = SmallSaver(max_to_keep=1, options=place.options)
    saver.save(place / "m-1")
    train.update_checkpoint_state(place.url, place / "m-1", latest_filename="best", storage_options=place.options)
    saver.save(place / "m-2")
    saver.save(place / "m-3")
    assert saved(place) == ["m-1", "m-3"]
    train.update_checkpoint_state(place.url, place / "m-3", latest_filename="best", storage_options=place.options)
    saver.save(place / "m-4")
    assert saved(place) == ["m-3", "m-4"]


def test_a_bucket_may_be_the_directory(object_server: ObjectServer) -> None:
    server = object_server.fresh_bucket()
    place = Place(server.root, server.storage_options)
    saver = SmallSaver(max_to_keep=1, options=place.options)
    saver.save(place / "m-1")
    train.update_checkpoint_state(place.url, place / "m-1", latest_filename="best", storage_options=place.options)
    saver.save(place / "m-2")
    saver.save(place / "m-3")
    assert saved(place) == ["m-1", "m-3"]
    assert state_of(place) == ["m-3"]


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_a_manager_beside_a_saver(kind: str, request: pytest.FixtureRequest) -> None:
    place = fresh_place(kind, request)
    saver = SmallSaver(max_to_keep=1, latest_filename="other", options=place.options)
    with ckpt.CheckpointManager(place.url, max_to_keep=2, storage_options=place.options) as manager:
        for step in range(1, 5):
            manager.save(step, {"w": np.ones(1)})
            saver.save(place / f"m-{step}")
    assert [name for name in place.files if name.endswith(".index")] == ["ckpt-3.index", "ckpt-4.index", "m-4.index"]
