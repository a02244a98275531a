"""What a manager takes, and what it refuses before anything is touched."""

from __future__ import annotations

import signal
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.state.steps import MAX_STEP
from tests.manager.runs import MemoryRun, tree


@pytest.mark.parametrize("step", [0, 7, np.int64(7), np.uint8(7), np.array(7), MAX_STEP])
def test_integers_of_any_kind_are_steps(step: Any) -> None:
    run = MemoryRun()
    with run.manager() as manager:
        assert manager.save(step, {"w": 1}).endswith(f"run/ckpt-{int(step)}")
        assert manager.restore_latest() == ({"w": 1}, int(step))
        assert manager.restore(step) == {"w": 1}
        assert manager.all_steps() == [int(step)]


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (-1, ValueError),
        (np.int64(-1), ValueError),
        (MAX_STEP + 1, ValueError),
        (10**30, ValueError),
        (True, TypeError),
        (np.True_, TypeError),
        (1.0, TypeError),
        (np.float32(1), TypeError),
        (np.array([1, 2]), TypeError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_other_steps_are_refused(step: Any, error: type[Exception]) -> None:
    run = MemoryRun()
    with run.manager() as manager:
        with pytest.raises(error):
            manager.save(step, {"w": 1})
        if step is not None:  # the newest
            with pytest.raises(error):
                manager.restore(step)
    assert run.files == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_to_keep": -1}, ValueError),
        ({"max_to_keep": 2.5}, TypeError),
        ({"max_to_keep": "5"}, TypeError),
        ({"keep_every_n_hours": 0}, ValueError),
        ({"keep_every_n_hours": -2}, ValueError),
        ({"keep_every_n_hours": float("nan")}, ValueError),
        ({"checkpoint_name": ""}, ValueError),
        ({"checkpoint_name": "a/b"}, ValueError),
        ({"checkpoint_name": "a\\b"}, ValueError),
        ({"checkpoint_name": "a\0b"}, ValueError),
        ({"checkpoint_name": "a\nb"}, ValueError),
        ({"checkpoint_name": "\ud800"}, ValueError),
        ({"when_busy": "skip"}, ValueError),
        ({"when_busy": "stop"}, ValueError),
        ({"asynchronous": True, "when_busy": "stop"}, ValueError),
        ({"preemption": True}, TypeError),
        ({"preemption": [ckpt.preemption.Sigterm]}, TypeError),
        ({"on_event": 3}, TypeError),
        ({"upload_every": 2}, ValueError),
        ({"upload_in_background": False}, ValueError),
        ({"local_max_to_keep": 3}, ValueError),
        ({"local_directory": "nvme", "upload_every": 0}, ValueError),
        ({"local_directory": "nvme", "upload_every": 1.5}, TypeError),
        ({"local_directory": "nvme", "local_max_to_keep": 0}, ValueError),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ckpt.CheckpointManager(tmp_path, **options)


def test_one_source_of_notices_needs_no_list(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ckpt.CheckpointManager(tmp_path, preemption=ckpt.preemption.Sigterm()):  # type: ignore[arg-type]
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_local_directory_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="the directory itself"):
        ckpt.CheckpointManager("run", local_directory=tmp_path / "run")


@pytest.mark.parametrize("directory", ["", "no-such-protocol://run", "s3://"])
def test_bad_directories_are_refused(directory: str) -> None:
    with pytest.raises(ckpt.CheckpointPathError):
        ckpt.CheckpointManager(directory)


@pytest.mark.parametrize("bad", [datetime(2020, 1, 1, tzinfo=UTC), {"a": {1, 2}}, {"": 1}, {"a": {"b": 1}, "a/b": 2}])
@pytest.mark.parametrize("step", [10, 99])
def test_a_tree_that_can_t_be_saved_changes_nothing(bad: object, step: int) -> None:
    """Nor does it go back in time: the step is below the newest."""
    run = MemoryRun()
    with run.manager() as manager:
        manager.save(50, tree(50))
        before = run.copy()
        with pytest.raises((TypeError, ckpt.StructureError)):
            manager.save(step, bad)
        assert run.filesystem.store == before.filesystem.store


def test_a_closed_manager_refuses_everything(tmp_path: Path) -> None:
    manager = ckpt.CheckpointManager(tmp_path)
    manager.close()
    manager.close()
    for use in (
        lambda: manager.save(1, {"w": 1}),
        lambda: manager.restore(1),
        lambda: manager.restore_latest(default=None),
        manager.latest_step,
        manager.all_steps,
    ):
        with pytest.raises(ValueError, match="is closed"):
            use()
    assert list(tmp_path.iterdir()) == []


def directories(tmp_path: Path) -> dict[str, tuple[Any, str]]:
    """The ways to write one directory, and what its checkpoint 3 is called."""
    name = uuid.uuid4().hex
    local = str(tmp_path / "run")
    return {
        "a path": (local, f"{local}/ckpt-3"),
        "a trailing slash": (f"{local}/", f"{local}/ckpt-3"),
        "two slashes": (f"{tmp_path}//run", f"{local}/ckpt-3"),
        "dots": (f"{tmp_path}/x/../run", f"{local}/ckpt-3"),
        "pathlib": (Path(local), f"{local}/ckpt-3"),
        "file": (f"file://{local}", f"{local}/ckpt-3"),
        "memory": (f"memory://{name}", f"memory://{name}/ckpt-3"),
        "memory, a trailing slash": (f"memory://{name}/", f"memory://{name}/ckpt-3"),
        "memory, a folder below": (f"memory://{name}/below", f"memory://{name}/below/ckpt-3"),
    }


@pytest.mark.parametrize("way", directories(Path("/")))
def test_a_directory_may_be_written_in_any_way(tmp_path: Path, way: str) -> None:
    directory, prefix = directories(tmp_path)[way]
    with ckpt.CheckpointManager(directory) as manager:
        assert manager.save(3, {"w": 1}) == prefix
        assert manager.directory == prefix.removesuffix("/ckpt-3")
    with ckpt.CheckpointManager(directory) as manager:
        assert manager.restore_latest() == ({"w": 1}, 3)
    assert ckpt.load(prefix) == {"w": 1}
    assert ckpt.latest_checkpoint(directory) == prefix


def test_a_relative_directory_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ckpt.CheckpointManager("run") as manager:
        monkeypatch.chdir("/")
        assert manager.save(3, {"w": 1}) == str(tmp_path / "run" / "ckpt-3")


def test_other_base_names_beside_are_not_seen_and_not_touched(tmp_path: Path) -> None:
    for name in ("model-9", "ckpt-best-9", "ckpt-9-final", "ckpt-09", "ckpt", "xckpt-9"):
        ckpt.save(tmp_path / name, {"w": 9})
    others = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with ckpt.CheckpointManager(tmp_path, max_to_keep=1) as manager:
        assert manager.restore_latest(default="nothing") == "nothing"
        assert manager.latest_step() is None
        for step in range(3):
            manager.save(step, {"w": step})
        assert manager.all_steps() == [2]
    assert {name: (tmp_path / name).read_bytes() for name in others} == others


def test_another_base_name(tmp_path: Path) -> None:
    with ckpt.CheckpointManager(tmp_path, checkpoint_name="model.ckpt", max_to_keep=1) as manager:
        for step in (1, 2):
            manager.save(step, {"w": step})
        assert manager.restore_latest() == ({"w": 2}, 2)
        assert manager.all_steps() == [2]


def test_like_is_passed_on() -> None:
    run = MemoryRun()
    with run.manager() as manager:
        manager.save(1, {"w": [1, 2]})
        assert manager.restore_latest(like={"w": [0, 0]}) == ({"w": [1, 2]}, 1)
        with pytest.raises(ckpt.StructureError):
            manager.restore_latest(like={"v": 0})
        with pytest.raises(ckpt.StructureError):
            manager.restore(1, like={"v": 0})


def test_an_error_says_which_step_it_is_about() -> None:
    run = MemoryRun()
    with run.manager() as manager:
        with pytest.raises(ckpt.CheckpointNotFoundError) as missing:
            manager.restore(41)
        with run.manager() as other:
            other.restore_latest(default=None)
            manager.save(1, tree(1))
            with pytest.raises(ckpt.CommitConflictError) as lost:
                other.save(2, tree(2))
    assert missing.value.step == 41
    assert lost.value.step == 2


def test_a_part_of_a_tree_other_dtypes_and_a_template_with_more(tmp_path: Path) -> None:
    with ckpt.CheckpointManager(tmp_path) as manager:
        manager.save(1, {"model": {"w": np.ones(3)}, "step": 1})
        assert manager.restore(1, only="step") == manager.restore(only="step") == {"step": 1}
        assert manager.restore_latest(only=["step"]) == ({"step": 1}, 1)
        like = {"model": {"w": np.zeros(3, np.float32), "b": 5}}
        for tree in (
            manager.restore(1, like=like, strict=False, cast=True),
            manager.restore(like=like, strict=False, cast=True),
            manager.restore_latest(like=like, strict=False, cast=True)[0],
        ):
            assert tree["model"]["w"].dtype == np.float32
            assert tree["model"]["w"].tolist() == [1, 1, 1]
            assert tree["model"]["b"] == 5
        with pytest.raises(ckpt.StructureError):
            manager.restore(like=like, strict=False)
