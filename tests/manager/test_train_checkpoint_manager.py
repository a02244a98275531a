"""What `train.CheckpointManager` promises beyond TensorFlow's, which tests/tensorflow runs beside it."""

from __future__ import annotations

import shutil
import warnings
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt import train
from cloudckpt.errors import (
    CheckpointDamagedError,
    CommitConflictError,
    InvalidArgumentError,
    RecoveryWarning,
    StateFileError,
    StorageTimeoutError,
    TransientStorageError,
)
from cloudckpt.manager.train import managed_directory
from cloudckpt.manager.train.train_checkpoint_manager import CheckpointManager
from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.state.state_file import CheckpointState, encode_state
from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location
from cloudckpt.testing.faults import Crash, FaultyStore, Mode
from cloudckpt.variables.variable import Variable
from tests.manager.counted import Counted
from tests.state.places import Place, fresh_place

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")


def manager_of(place: Place, max_to_keep: int | None = 2, **arguments: Any) -> CheckpointManager:
    return CheckpointManager(Counted(), place.url, max_to_keep, storage_options=place.options or None, **arguments)


def indexes(place: Place) -> list[str]:
    """The checkpoints that are there."""
    return [name.removesuffix(".index") for name in place.files if name.endswith(".index")]


def saved(place: Place) -> list[str]:
    """The checkpoints that are there, and nothing of any other."""
    names = indexes(place)
    assert {name.split(".data-")[0] for name in place.files} <= {*names, "checkpoint", *(f"{n}.index" for n in names)}
    return names


def named(place: Place) -> list[str]:
    state = train.get_checkpoint_state(place.url, storage_options=place.options)
    return [path.rpartition("/")[2] for path in state.all_model_checkpoint_paths]


def test_a_job_saves_dies_and_goes_on_on_every_store(place: Place) -> None:
    for run in range(3):
        manager = manager_of(place)
        restored = manager.restore_or_initialize()
        assert restored == (place / f"ckpt-{2 * run}" if run else None)
        assert manager.checkpoint.value == 2.0 * run
        for number in (2 * run + 1, 2 * run + 2):
            manager.checkpoint.value = float(number)
            assert manager.save() == place / f"ckpt-{number}" == manager.latest_checkpoint
        expected = [f"ckpt-{2 * run + 1}", f"ckpt-{2 * run + 2}"]
        assert saved(place) == named(place) == expected
        assert manager.checkpoints == [place / name for name in expected]
    assert train.latest_checkpoint(place.url, storage_options=place.options) == place / "ckpt-6"


def test_options_and_sync_are_passed_on(memory: Place) -> None:
    manager = manager_of(memory)
    options = object()
    manager.save(options=options)
    manager.sync()
    assert (manager.checkpoint.options, manager.checkpoint.synced) == ([options], 1)


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_a_timeout_is_above_0(memory: Place, timeout: float) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout"):
        manager_of(memory, timeout=timeout)


def test_a_timeout_ends_a_save(memory: Place) -> None:
    manager = manager_of(memory, timeout=30.0)
    manager.save()
    manager._timeout = 1e-9
    with pytest.raises(StorageTimeoutError):
        manager.save()
    assert saved(memory) == ["ckpt-1"]


def test_a_save_that_failed_is_due_again(memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = manager_of(memory, step_counter=Variable(7), checkpoint_interval=5)

    def refuse(*_: Any, **__: Any) -> None:
        raise TransientStorageError("not now")

    with monkeypatch.context() as broken, pytest.raises(TransientStorageError):
        broken.setattr(manager.checkpoint, "write", refuse)
        manager.save()
    assert manager.checkpoints == []
    assert manager.save() == memory / "ckpt-2"
    assert manager.save() is None


def test_a_checkpoint_of_objects_by_way_of_the_door(place: Place) -> None:
    variable = Variable(1.5)
    options = {"storage_options": place.options or None}
    manager = train.CheckpointManager(Checkpoint(v=variable), place.url, 2, **options)
    manager.save()
    variable.assign(2.5)
    manager.save()
    other = Variable(0.0)
    again = train.CheckpointManager(Checkpoint(v=other), place.url, 2, **options)
    assert again.restore_or_initialize() == place / "ckpt-2"
    assert (float(other.numpy()), int(again.checkpoint.save_counter.numpy())) == (2.5, 2)
    again.save()
    assert saved(place) == named(place) == ["ckpt-2", "ckpt-3"]


# Recovery.


def test_a_newest_one_that_is_damaged_is_passed_over(memory: Place) -> None:
    manager = manager_of(memory)
    for number in (1, 2):
        manager.checkpoint.value = float(number)
        manager.save()
    memory.write("ckpt-2.data-00000-of-00001", b"")
    again = manager_of(memory)
    with pytest.warns(RecoveryWarning, match="step 2"):
        assert again.restore_or_initialize() == memory / "ckpt-1" == again.latest_checkpoint
    assert again.checkpoint.value == 1.0
    assert again.save() == memory / "ckpt-2"
    assert named(memory) == ["ckpt-1", "ckpt-2"]


def test_one_that_was_committed_just_before_the_job_died_is_restored_and_managed(memory: Place) -> None:
    manager = manager_of(memory)
    manager.save()
    manager.checkpoint.value = 2.0
    manager.checkpoint.save_counter.assign(2)
    manager.checkpoint.write(memory / "ckpt-2")
    again = manager_of(memory)
    assert again.restore_or_initialize() == memory / "ckpt-2"
    assert again.checkpoint.value == 2.0
    for _ in range(2):
        again.save()
    assert saved(memory) == named(memory) == ["ckpt-3", "ckpt-4"]


def test_without_a_state_file_the_highest_number_is_restored_and_no_other_one_deleted(memory: Place) -> None:
    manager = manager_of(memory, None)
    for _ in range(4):
        manager.save()
    with memory.open() as directory:
        directory.store.delete([directory.child("checkpoint").key])
    again = manager_of(memory, 1)
    assert again.latest_checkpoint is None
    assert again.restore_or_initialize() == memory / "ckpt-4"
    for _ in range(2):
        again.save()
    assert saved(memory) == ["ckpt-1", "ckpt-2", "ckpt-3", "ckpt-6"]


def test_where_nothing_is_whole_nothing_begins_anew(memory: Place) -> None:
    manager_of(memory).save()
    memory.write("ckpt-1.data-00000-of-00001", b"")
    called: list[str] = []
    again = manager_of(memory, init_fn=lambda: called.append("called"))
    with pytest.raises(CheckpointDamagedError), warnings.catch_warnings():
        warnings.simplefilter("ignore", RecoveryWarning)
        again.restore_or_initialize()
    assert not called


def test_a_state_file_that_can_not_be_read_is_no_empty_directory(memory: Place) -> None:
    memory.write("checkpoint", b"model_checkpoint_path: 7")
    with pytest.raises(StateFileError, match="checkpoint"):
        manager_of(memory)


def test_a_latest_checkpoint_of_another_name_is_restored(memory: Place) -> None:
    manager_of(memory, checkpoint_name="other").save(7)
    again = manager_of(memory)
    assert again.restore_or_initialize() == memory / "other-7"
    again.save(8)
    again.save(9)
    assert saved(memory) == named(memory) == ["ckpt-8", "ckpt-9"]


def test_a_preserved_one_that_had_to_be_restored_stays(memory: Place) -> None:
    hours = 1e-9
    manager = manager_of(memory, 1, keep_checkpoint_every_n_hours=hours)
    for _ in range(3):
        manager.save()
    assert saved(memory) == ["ckpt-1", "ckpt-2", "ckpt-3"]
    memory.write("ckpt-3.data-00000-of-00001", b"")
    again = manager_of(memory, 1)
    with pytest.warns(RecoveryWarning):
        assert again.restore_or_initialize() == memory / "ckpt-2"
    for number in range(4, 7):
        again.save(number)
    assert saved(memory) == ["ckpt-1", "ckpt-2", "ckpt-6"]


# Deleting.


def test_checkpoints_in_other_directories_are_never_deleted(tmp_path: Path) -> None:
    for folder in ("run", "other"):
        CheckpointManager(Counted(), tmp_path / folder, 5).save()
    state = CheckpointState("ckpt-1", ("../other/ckpt-1", f"{tmp_path}/other/ckpt-1", "ckpt-1"))
    state = CheckpointState(state.latest, state.paths, (5.0, 6.0, 7.0), 4.0)
    (tmp_path / "run" / "checkpoint").write_bytes(encode_state(state))
    manager = CheckpointManager(Counted(), tmp_path / "run", 1)
    assert len(manager.checkpoints) == 3
    manager.save(2)
    assert manager.checkpoints == [f"{tmp_path}/run/ckpt-2"]
    assert [path.name for path in sorted(tmp_path.glob("*/*.index"))] == ["ckpt-1.index", "ckpt-2.index"]
    assert (tmp_path / "other" / "ckpt-1.index").exists()


def test_one_that_another_manager_has_saved_again_is_not_deleted(memory: Place) -> None:
    first = manager_of(memory, 1)
    first.save(1)
    second = manager_of(memory, 1)
    second.checkpoint.value = 7.0
    second.save(1)
    first.save(2)
    assert saved(memory) == ["ckpt-1", "ckpt-2"]


def test_two_managers_of_one_directory_go_on_side_by_side(memory: Place) -> None:
    first, second = manager_of(memory, 2), manager_of(memory, 2, checkpoint_name="b")
    for number in range(1, 5):
        first.save(number)
        second.save(number)
    assert saved(memory) == ["b-3", "b-4", "ckpt-3", "ckpt-4"]
    assert named(memory) == ["b-3", "b-4"]


def test_a_directory_can_be_moved(tmp_path: Path) -> None:
    CheckpointManager(Counted(3.0), tmp_path / "before", 3).save()
    shutil.move(tmp_path / "before", tmp_path / "after")
    again = CheckpointManager(Counted(), tmp_path / "after", 1)
    assert again.restore_or_initialize() == f"{tmp_path}/after/ckpt-1"
    again.save()
    assert sorted(path.name for path in (tmp_path / "after").glob("*.index")) == ["ckpt-2.index"]


# Faults.


class Faults:
    """Lets the managers' own requests go through a store that fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.how: dict[str, Any] = {"fail_at": 0}
        self.store: FaultyStore | None = None
        monkeypatch.setattr(managed_directory, "open_location", self._opened)

    def _opened(self, path: Any, options: Any) -> Location:
        location = open_location(path, options)
        self.store = FaultyStore(location.store, **self.how)
        return Location(self.store, location.key)


@pytest.mark.parametrize("mode", ["before", "after", "during"])
def test_a_process_that_dies_at_any_request_loses_and_leaves_nothing(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    for fail_at in count(1):
        place = fresh_place("memory", request)
        faults = Faults(monkeypatch)
        manager = manager_of(place)
        for _ in range(2):
            manager.save()
        faults.how = {"fail_at": fail_at, "mode": mode, "forever": True, "error": Crash()}
        manager.checkpoint.value = 3.0
        with suppress(Crash):
            manager.save()
        assert faults.store is not None
        died = faults.store.failed
        faults.how = {"fail_at": 0}
        again = manager_of(place)
        # It was committed before any of these requests.
        assert again.restore_or_initialize() == place / "ckpt-3"
        assert again.checkpoint.value == 3.0
        again.save()
        # Data of one whose index was deleted last is garbage, and collected as such.
        assert indexes(place) == named(place) == ["ckpt-3", "ckpt-4"]
        if not died:
            break
    assert fail_at > 6


@pytest.mark.parametrize("mode", ["before", "after", "during"])
def test_a_request_that_fails_once_is_made_good_by_the_next_save(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    for fail_at in count(1):
        place = fresh_place("memory", request)
        faults = Faults(monkeypatch)
        manager = manager_of(place)
        for _ in range(2):
            manager.save()
        faults.how = {"fail_at": fail_at, "mode": mode}
        try:
            manager.save()
        except TransientStorageError:
            assert manager.checkpoint.save_counter.numpy() == 3
        assert faults.store is not None
        failed = faults.store.failed
        assert "ckpt-3" in indexes(place)
        faults.how = {"fail_at": 0}
        manager.save()
        assert saved(place) == named(place) == ["ckpt-3", "ckpt-4"]
        assert manager.checkpoints == [place / "ckpt-3", place / "ckpt-4"]
        if not failed:
            break
    assert fail_at > 6


def test_what_can_not_be_deleted_now_stays_named_for_the_next_manager(
    memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(monkeypatch)
    manager = manager_of(memory)
    for _ in range(3):
        manager.save()
    assert faults.store is not None
    deleting = next(number for number, name in enumerate(faults.store.operations, 1) if name.startswith("delete"))
    faults.how = {"fail_at": deleting, "error": TransientStorageError("not now")}
    manager.save()
    assert manager.checkpoints == [memory / "ckpt-3", memory / "ckpt-4"]
    assert saved(memory) == named(memory) == ["ckpt-2", "ckpt-3", "ckpt-4"]
    faults.how = {"fail_at": 0}
    again = manager_of(memory)
    again.save(5)
    assert saved(memory) == named(memory) == ["ckpt-4", "ckpt-5"]


def test_a_save_that_loses_the_state_again_and_again_says_what_it_has_committed(
    memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = manager_of(memory, 1)
    manager.save()
    other = manager_of(memory, None, checkpoint_name="other")

    class Overtaken(FaultyStore):
        def put(self, key: str, *arguments: Any, **keywords: Any) -> Any:
            monkeypatch.undo()
            other.save()
            monkeypatch.setattr(managed_directory, "open_location", opened)
            return super().put(key, *arguments, **keywords)

    def opened(path: Any, options: Any) -> Location:
        location = open_location(path, options)
        return Location(Overtaken(location.store, 0), location.key)

    monkeypatch.setattr("cloudckpt.state.update.pause", lambda _: None)
    monkeypatch.setattr(managed_directory, "open_location", opened)
    with pytest.raises(CommitConflictError) as caught:
        manager.save()
    monkeypatch.undo()
    assert caught.value.committed == memory / "ckpt-2" == manager.latest_checkpoint
    assert {"ckpt-1", "ckpt-2"} < set(saved(memory))
    manager.save()
    assert named(memory) == ["ckpt-3"]
