"""What a manager promises, on every store: the table of docs/reference/promises.md."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

import cloudckpt as ckpt
from cloudckpt.checksums import crc32c
from cloudckpt.errors import CommitConflictError, UnsupportedOperationError
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from tests.manager.runs import manager_at, same, tree

if TYPE_CHECKING:
    from pathlib import Path

Open = Callable[[], Location]
"""Opens the directory anew, as another process would."""

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")

CONDITIONAL = ["local", "memory", "minio", "moto_s3", "fake_gcs"]
ALL = [*CONDITIONAL, "filesystem"]


def opener(name: str, request: pytest.FixtureRequest) -> Open:
    if name == "filesystem":
        filesystem = DirFileSystem(path=str(request.getfixturevalue("tmp_path")), fs=LocalFileSystem())
        return lambda: Location(FilesystemStore(filesystem), "run")
    if name in {"local", "memory"}:
        folder: Path = request.getfixturevalue("tmp_path")
        url = str(folder / "run") if name == "local" else f"memory://{uuid.uuid4().hex}/run"
        return lambda: open_location(url)
    server = request.getfixturevalue(name)
    url = server.fresh_url()
    return lambda: open_location(url, server.storage_options)


@pytest.fixture(params=ALL)
def opened(request: pytest.FixtureRequest) -> Open:
    """A directory on each of the stores in turn."""
    return opener(request.param, request)


@pytest.fixture(params=CONDITIONAL)
def shared(request: pytest.FixtureRequest) -> Open:
    """A directory on each of the stores that tell two writers apart."""
    return opener(request.param, request)


def test_what_a_manager_keeps_is_no_checkpoint_itself(opened: Open) -> None:
    save(opened, 1)
    with opened() as directory, pytest.raises(ckpt.CheckpointNotFoundError, match="latest_checkpoint"):
        load_tree(directory)


def save(opened: Open, *steps: int, **options: Any) -> None:
    with manager_at(opened(), **options) as manager:
        manager.restore_latest(default=None)
        for step in steps:
            manager.save(step, tree(step))


def restored(opened: Open) -> int:
    with manager_at(opened()) as manager:
        state, step = manager.restore_latest()
        assert manager.latest_step() == step
    assert same(state, tree(step))
    return int(step)


def save_alone(opened: Open, step: int) -> None:
    """What a job leaves that dies before it can name its checkpoint."""
    with opened() as directory:
        save_tree(directory.child(f"ckpt-{step}"), tree(step))


def delete(opened: Open, *names: str) -> None:
    with opened() as directory:
        directory.store.delete([directory.child(name).key for name in names])


def test_p4_an_empty_directory_gives_the_default(opened: Open) -> None:
    with manager_at(opened()) as manager:
        assert manager.restore_latest(default="scratch") == "scratch"
        with pytest.raises(ckpt.CheckpointNotFoundError):
            manager.restore_latest()


def test_p4_p6_a_run_with_retention_and_restarts(opened: Open) -> None:
    save(opened, 1, 2, max_to_keep=2)
    save(opened, 3, 4, max_to_keep=2)
    with manager_at(opened()) as manager:
        assert manager.all_steps() == [3, 4]
    assert restored(opened) == 4
    with opened() as directory:
        files = {info.key.rpartition("/")[2] for info in directory.store.list(directory.child("").key)}
    assert files == {"checkpoint", *(f"ckpt-{n}{end}" for n in (3, 4) for end in (".index", ".data-00000-of-00001"))}


def test_p4_unnamed_newer_step_is_taken_when_the_job_died_before_the_state(opened: Open) -> None:
    """Right after the save that is named: by the store's own times, of whatever resolution."""
    save(opened, 1)
    save_alone(opened, 2)
    assert restored(opened) == 2


def test_p4_an_incomplete_newest_one_is_passed_over(opened: Open) -> None:
    save(opened, 1, 2)
    delete(opened, "ckpt-2.data-00000-of-00001")
    with pytest.warns(ckpt.RecoveryWarning, match="step 2"):
        assert restored(opened) == 1


def test_p4_state_missing_the_highest_step(opened: Open) -> None:
    save(opened, 9, 10)
    delete(opened, "checkpoint")
    assert restored(opened) == 10


def test_p4_nothing_whole_refuses_to_begin_anew(opened: Open) -> None:
    save(opened, 1)
    delete(opened, "ckpt-1.index")
    with (
        manager_at(opened()) as manager,
        pytest.warns(ckpt.RecoveryWarning),
        pytest.raises(ckpt.CheckpointDamagedError),
    ):
        manager.restore_latest(default="scratch")


def test_p4_back_and_on_another_line(opened: Open) -> None:
    save(opened, 10, 20, 30)
    with manager_at(opened()) as manager:
        manager.restore(10)
        manager.save(15, tree(15))
        assert manager.all_steps() == [10, 15]
    assert restored(opened) == 15


def test_p4_the_left_line_is_not_resumed_after_its_whole_second(opened: Open) -> None:
    """Killed after the state was swapped and before the index: the times of the left ones are those of the state."""
    save(opened, 10, 20)
    with manager_at(opened()) as manager:
        manager.restore(10)
        manager._tier._held.make_way(15)
    assert restored(opened) == 10


def test_p3_p4_a_step_that_exists_is_replaced(shared: Open) -> None:
    save(shared, 10, 20)
    with manager_at(shared()) as manager:
        manager.restore_latest()
        manager.save(20, tree(20, "second"))
        manager.save(20, tree(20, "third"))
        manager.save(10, tree(10, "third"))
        assert same(manager.restore(20), tree(20, "third"))
    with manager_at(shared()) as manager:
        state, step = manager.restore_latest()
    assert step == 10
    assert same(state, tree(10, "third"))


def test_p3_a_plain_filesystem_refuses_to_replace_a_step(request: pytest.FixtureRequest) -> None:
    opened = opener("filesystem", request)
    save(opened, 10)
    with manager_at(opened()) as manager, pytest.raises(UnsupportedOperationError, match="ckpt-10"):
        manager.save(10, tree(10, "second"))
    assert restored(opened) == 10


def test_p7_the_second_to_save_loses_until_it_restores(shared: Open) -> None:
    save(shared, 10)
    with manager_at(shared(), max_to_keep=1) as winner, manager_at(shared(), max_to_keep=1) as loser:
        winner.restore_latest()
        loser.restore_latest()
        winner.save(20, tree(20))
        with pytest.raises(CommitConflictError) as lost:
            loser.save(30, tree(30, "loser"))
        assert lost.value.committed == loser.directory + "/ckpt-30"
        for _ in range(2):
            with pytest.raises(CommitConflictError):
                loser.save(40, tree(40, "loser"))
        assert winner.all_steps() == [20, 30]
        loser.restore(20)
        loser.save(40, tree(40))
        with pytest.raises(CommitConflictError):
            winner.save(50, tree(50))
    assert restored(shared) in {40, 50}


def test_p7_two_copies_of_a_job_save_the_same_step(shared: Open) -> None:
    with manager_at(shared()) as winner, manager_at(shared()) as loser:
        for manager in (winner, loser):
            assert manager.restore_latest(default=None) is None
        winner.save(10, tree(10))
        with pytest.raises(CommitConflictError):
            loser.save(10, tree(10, "loser"))
        with pytest.raises(CommitConflictError):
            loser.save(20, tree(20, "loser"))
        winner.save(20, tree(20))
    assert restored(shared) == 20


def test_p4_a_fresh_copy_of_a_directory_resumes_what_its_state_names(shared: Open) -> None:
    """Copied in the order of the names, so that everything is younger than the state."""
    save(shared, 10, 20)
    save_alone(shared, 99)
    with shared() as directory:
        files = [directory.store.get(info.key) for info in directory.store.list(directory.child("").key)]
        copy = Location(directory.store, f"{directory.key}-copy")
        for number, (data, info) in enumerate(files):
            name = info.key.rpartition("/")[2]
            copy.store.put(copy.child(name).key, data, Always(), crc32c=crc32c(data))
            if number == 0:
                assert name == "checkpoint"
                time.sleep(1.1)  # buckets know whole seconds
        with manager_at(copy) as manager:
            assert manager.restore_latest()[1] == 20
