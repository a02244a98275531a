"""P4 over real directories: what a restart finds, says on the way, and refuses."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import cloudckpt as ckpt
from cloudckpt.errors import ObjectNotFoundError, PermissionDeniedError, TransientStorageError
from cloudckpt.storage.local.store import LocalStore
from tests.manager.runs import same, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import ObjectServer


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory with the steps 1, 2 and 3."""
    save(tmp_path / "run", 1, 2, 3)
    return tmp_path / "run"


def save(run: Path, *steps: int, **options: Any) -> None:
    with ckpt.CheckpointManager(run, **options) as manager:
        manager.restore_latest(default=None)
        for step in steps:
            manager.save(step, tree(step))


def restored(run: Path) -> int:
    """The step that a restart takes; its tree is what was saved."""
    with ckpt.CheckpointManager(run) as manager:
        state, step = manager.restore_latest()
        assert same(state, tree(step))
        assert manager.latest_step() == step
    return int(step)


def restored_with_warning(run: Path, message: str) -> int:
    with pytest.warns(ckpt.RecoveryWarning, match=message) as caught:
        step = restored(run)
    assert {warning.filename for warning in caught} == {__file__}
    return step


def refused(run: Path, message: str) -> None:
    """Neither restored nor begun anew, but looked into by somebody."""
    for call in ("restore_latest", "latest_step"):
        options = {"default": ("scratch", 0)} if call == "restore_latest" else {}
        with ckpt.CheckpointManager(run) as manager, warnings.catch_warnings():
            warnings.simplefilter("ignore", ckpt.RecoveryWarning)
            with pytest.raises(ckpt.CheckpointDamagedError, match=message) as refusal:
                getattr(manager, call)(**options)
        assert refusal.value.path == str(run)


def delete(run: Path, pattern: str) -> None:
    found = list(run.glob(pattern))
    assert found
    for path in found:
        path.unlink()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no index": lambda run: delete(run, "ckpt-3.index"),
    "no data": lambda run: delete(run, "ckpt-3.data*"),
    "short data": lambda run: os.truncate(run / "ckpt-3.data-00000-of-00001", 20),
    "empty data": lambda run: os.truncate(run / "ckpt-3.data-00000-of-00001", 0),
    "empty index": lambda run: os.truncate(run / "ckpt-3.index", 0),
    "half an index": lambda run: os.truncate(run / "ckpt-3.index", 90),
    "rubbish for an index": lambda run: (run / "ckpt-3.index").write_bytes(os.urandom(300)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_p4_an_incomplete_newest_one_is_passed_over_for_the_newest_whole_one(
    run: Path, damage: Callable[[Path], object]
) -> None:
    damage(run)
    assert restored_with_warning(run, "step 3 .* is passed over") == 2


def test_p4_flipped_bits_are_found_by_their_checksum(run: Path) -> None:
    data = run / "ckpt-3.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    with ckpt.CheckpointManager(run) as manager, pytest.warns(ckpt.RecoveryWarning, match="step 3"):
        assert manager.restore_latest()[1] == 2


def test_p4_the_newest_that_the_state_names(run: Path) -> None:
    assert restored(run) == 3


def test_p4_unnamed_newer_step_is_taken_when_the_job_died_before_the_state(run: Path) -> None:
    ckpt.save(run / "ckpt-7", tree(7))
    assert restored(run) == 7


def test_p4_unnamed_newer_step_that_is_not_whole_is_passed_over(run: Path) -> None:
    ckpt.save(run / "ckpt-7", tree(7))
    delete(run, "ckpt-7.data*")
    assert restored_with_warning(run, "step 7") == 3


def test_p4_data_without_an_index_is_nothing(run: Path) -> None:
    ckpt.save(run / "ckpt-7", tree(7))
    delete(run, "ckpt-7.index")
    assert restored(run) == 3


def test_p4_unnamed_lower_step_is_not_taken(run: Path) -> None:
    ckpt.save(run / "ckpt-0", tree(0))
    assert restored(run) == 3


def test_p4_what_recovery_took_is_named_by_the_next_save(run: Path) -> None:
    ckpt.save(run / "ckpt-7", tree(7))
    with ckpt.CheckpointManager(run, max_to_keep=2) as manager:
        manager.restore_latest()
        manager.save(8, tree(8))
        assert manager.all_steps() == [7, 8]
    assert re.findall(r'all_model_checkpoint_paths: "(.*)"', (run / "checkpoint").read_text()) == ["ckpt-7", "ckpt-8"]


def test_p4_state_missing_the_highest_step(run: Path) -> None:
    save(run, 10)
    delete(run, "checkpoint")
    assert restored(run) == 10


@pytest.mark.parametrize("content", [b"\xff\x00rubbish", b'model_checkpoint_path: "ckpt-', b"<html>404</html>"])
def test_p4_state_unreadable_the_highest_step_with_a_warning(run: Path, content: bytes) -> None:
    (run / "checkpoint").write_bytes(content)
    assert restored_with_warning(run, "can't be read") == 3
    save_after_a_warning(run)
    assert restored(run) == 4


def save_after_a_warning(run: Path) -> None:
    with ckpt.CheckpointManager(run) as manager:
        with pytest.warns(ckpt.RecoveryWarning):
            manager.restore_latest()
        manager.save(4, tree(4))


def test_p4_state_unreadable_and_nothing_restored_no_save(run: Path) -> None:
    (run / "checkpoint").write_bytes(b"\xff")
    with ckpt.CheckpointManager(run) as manager, pytest.raises(ckpt.StateFileError):
        manager.save(4, tree(4))
    assert (run / "checkpoint").read_bytes() == b"\xff"
    assert not list(run.glob("ckpt-4*"))


@pytest.mark.parametrize("content", [b"", b"# nothing\n"])
def test_p4_state_empty_the_highest_step_with_a_warning(run: Path, content: bytes) -> None:
    (run / "checkpoint").write_bytes(content)
    assert restored_with_warning(run, "names nothing whole") == 3


def test_p4_nothing_named_is_whole_the_highest_step_with_a_warning(run: Path) -> None:
    (run / "checkpoint").write_text('model_checkpoint_path: "ckpt-9"\nall_model_checkpoint_paths: "ckpt-9"\n')
    assert restored_with_warning(run, "names nothing whole|step 9 .* is passed over") == 3


def test_p4_last_resorts_are_passed_over_too(run: Path) -> None:
    delete(run, "checkpoint")
    delete(run, "ckpt-3.data*")
    assert restored_with_warning(run, "step 3") == 2


@pytest.mark.parametrize("state", ["kept", "missing", "unreadable", "empty"])
def test_p4_nothing_whole_beside_an_index_refuses_to_begin_anew(run: Path, state: str) -> None:
    delete(run, "ckpt-*.data*")
    if state == "missing":
        delete(run, "checkpoint")
    elif state != "kept":
        (run / "checkpoint").write_bytes(b"\xff" if state == "unreadable" else b"")
    refused(run, r"steps \[1, 2, 3\]")


def test_p4_a_state_that_names_something_refuses_to_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-9"\n')
    refused(tmp_path, "names 'ckpt-9'")


def test_p4_a_state_of_another_base_name_refuses_to_begin_anew(tmp_path: Path) -> None:
    save(tmp_path, 1, checkpoint_name="model")
    refused(tmp_path, "names 'model-1'")


def test_p4_a_state_that_can_t_be_read_refuses_to_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"\xff")
    refused(tmp_path, "can't be read")


@pytest.mark.parametrize("beside", [None, "notes.txt", "ckpt-7.data-00000-of-00001", "other-7.index", "checkpoint"])
def test_p4_the_default_is_for_a_directory_without_any_checkpoint(tmp_path: Path, beside: str | None) -> None:
    if beside:
        (tmp_path / beside).write_bytes(b"")
    with ckpt.CheckpointManager(tmp_path) as manager, warnings.catch_warnings():
        warnings.simplefilter("ignore", ckpt.RecoveryWarning)
        assert manager.restore_latest(default=("scratch", 0)) == ("scratch", 0)
        assert manager.restore_latest(default=None) is None
        assert manager.latest_step() is None
        with pytest.raises(ckpt.CheckpointNotFoundError, match="default="):
            manager.restore_latest()
    assert [path.name for path in tmp_path.iterdir()] == ([beside] if beside else [])


def test_p4_a_copied_folder_resumes_what_its_state_names(run: Path, tmp_path: Path) -> None:
    """A copy gives files the times of the copying, in any order."""
    with ckpt.CheckpointManager(run) as manager:
        manager.restore(2)
        manager.save(2, tree(2))  # 3 is left
    copy = tmp_path / "copy"
    copy.mkdir()
    names = ["checkpoint", *sorted(path.name for path in run.glob("ckpt-*"))]
    for number, name in enumerate(names):
        shutil.copyfile(run / name, copy / name)
        os.utime(copy / name, (2_000_000_000 + number,) * 2)
    ckpt.save(copy / "ckpt-9", tree(9))
    os.utime(copy / "ckpt-9.index", (2_000_001_000,) * 2)
    assert restored(copy) == 2


def test_p4_a_path_that_leaves_the_folder_is_tried_inside_it_and_never_deleted(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    (moved / "checkpoint").write_text(
        "".join(
            f'{field}: "{run}/ckpt-{step}"\n'
            for field, step in [
                ("model_checkpoint_path", 3),
                ("all_model_checkpoint_paths", 2),
                ("all_model_checkpoint_paths", 3),
            ]
        )
    )
    before = sorted(path.name for path in run.iterdir())
    assert restored(moved) == 3
    save(moved, 4, max_to_keep=1)
    assert sorted(path.name for path in run.iterdir()) == before
    assert {"ckpt-2.index", "ckpt-3.index", "ckpt-4.index"} <= {path.name for path in moved.iterdir()}
    assert restored(moved) == 4


@pytest.mark.parametrize("outside", ["../victim/ckpt-1", "{victim}/ckpt-1", "below/ckpt-1", "model-1"])
def test_p10_a_hostile_state_file_deletes_nothing_elsewhere(run: Path, tmp_path: Path, outside: str) -> None:
    victims = {
        "../victim/ckpt-1": tmp_path / "victim" / "ckpt-1",
        "{victim}/ckpt-1": tmp_path / "victim" / "ckpt-1",
        "below/ckpt-1": run / "below" / "ckpt-1",
        "model-1": run / "model-1",
    }
    ckpt.save(victims[outside], {"w": 1})
    name = outside.format(victim=tmp_path / "victim")
    state = (run / "checkpoint").read_text()
    (run / "checkpoint").write_text(f'# cloudckpt: {{"retired": ["{name}"], "left": ["{name}"]}}\n{state}')
    save(run, 4, max_to_keep=1)
    save(run, 5, max_to_keep=1)
    assert ckpt.load(victims[outside]) == {"w": 1}


ERRORS = [PermissionDeniedError("not for you"), TransientStorageError("no network"), ckpt.StorageError("broken")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("file", ["checkpoint", "ckpt-", "ckpt-3.index", "ckpt-3.data-00000-of-00001"])
def test_p4_an_error_of_the_store_always_raises(
    run: Path, monkeypatch: pytest.MonkeyPatch, file: str, error: Exception
) -> None:
    """It is no reason to take an older one, let alone to begin anew."""

    def failing(method: Callable[..., Any]) -> Callable[..., Any]:
        def fail_or_do(self: LocalStore, key: str, *arguments: Any) -> Any:
            if key == f"{run}/{file}":
                raise error
            return method(self, key, *arguments)

        return fail_or_do

    for name in ("get", "list", "read"):
        monkeypatch.setattr(LocalStore, name, failing(getattr(LocalStore, name)))
    with ckpt.CheckpointManager(run) as manager, pytest.raises(type(error)):
        manager.restore_latest(default=("scratch", 0))


def test_p4_a_checkpoint_of_a_newer_version_raises(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def newer(*arguments: object) -> None:
        raise ckpt.CheckpointVersionError("upgrade cloudckpt")

    monkeypatch.setattr("cloudckpt.checkpoint.bundle_reader.decode_index", newer)
    with ckpt.CheckpointManager(run) as manager, pytest.raises(ckpt.CheckpointVersionError):
        manager.restore_latest(default=None)


def test_p4_a_bucket_that_does_not_exist_raises(minio: ObjectServer) -> None:
    with (
        ckpt.CheckpointManager("s3://no-such-bucket-here/run", storage_options=minio.storage_options) as manager,
        pytest.raises(ObjectNotFoundError),
    ):
        manager.restore_latest(default=None)


def test_p4_restore_of_a_step_changes_nothing(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with ckpt.CheckpointManager(run) as manager:
        assert same(manager.restore(1), tree(1))
        with pytest.raises(ckpt.CheckpointNotFoundError, match="ckpt-9"):
            manager.restore(9)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_all_steps_are_those_with_an_index(run: Path) -> None:
    ckpt.save(run / "ckpt-20", tree(20))
    delete(run, "ckpt-1.index")
    with ckpt.CheckpointManager(run) as manager:
        assert manager.all_steps() == [2, 3, 20]


def test_a_folder_in_the_place_of_the_state_file_is_no_empty_directory_at_the_save(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    with (
        ckpt.CheckpointManager(tmp_path) as manager,
        pytest.raises(ckpt.StorageError, match="a folder is in the place"),
    ):
        manager.restore_latest(default=None)


def test_a_name_with_a_backslash_is_no_folder_of_ours(run: Path) -> None:
    ckpt.save(run / "ckpt-x\\ckpt-9", tree(9))
    with ckpt.CheckpointManager(run) as manager:
        assert manager.all_steps() == [1, 2, 3]
        assert manager.latest_step() == 3
