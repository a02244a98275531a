"""`latest_checkpoint`: what the state file names, if it is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.errors import CheckpointDamagedError, PermissionDeniedError, RecoveryWarning
from cloudckpt.saver.saver import Saver
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import open_location
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory with the checkpoint `ckpt-5`, and one in a folder below it; no state file."""
    ckpt.save(tmp_path / "run" / "ckpt-5", {"w": np.ones(2)})
    ckpt.save(tmp_path / "run" / "below" / "ckpt-6", {"w": np.ones(2)})
    ckpt.save(tmp_path / "ckpt-7", {"w": np.ones(2)})
    return tmp_path / "run"


def write_state(run: Path, path: str, name: str = "checkpoint", older: Iterable[str] = ()) -> None:
    escaped = path.replace("\\", "\\\\")
    lines = [f'model_checkpoint_path: "{escaped}"', *(f'all_model_checkpoint_paths: "{each}"' for each in older)]
    (run / name).write_text("\n".join([*lines, ""]))


def test_a_name_with_a_backslash_is_found_where_it_was_saved(tmp_path: Path) -> None:
    path = f"{tmp_path}/one\\two"
    Saver([Variable(np.ones(2, np.float32), name="w")]).save(None, path)
    assert ckpt.latest_checkpoint(tmp_path) == path


def passed_over(path: str, why: str = "it is not there") -> AbstractContextManager[object]:
    return pytest.warns(RecoveryWarning, match=rf"{re.escape(path)}.* is passed over: .*{why}")


@pytest.mark.parametrize(
    "path",
    [
        "ckpt-5",
        "./ckpt-5",
        "gone/ckpt-5",
        "../ckpt-5",
        "/another/machine/run/ckpt-5",
        "C:\\runs\\one\\ckpt-5",
        "s3://bucket/run/ckpt-5",
    ],
)
def test_what_the_state_names_is_found_inside(run: Path, path: str) -> None:
    write_state(run, path)
    found = ckpt.latest_checkpoint(run)
    assert found is not None
    assert found.endswith("ckpt-5")
    assert ckpt.load(found)["w"].tolist() == [1, 1]


def test_a_folder_below_is_inside(run: Path) -> None:
    write_state(run, "below/ckpt-6")
    assert ckpt.latest_checkpoint(run) == f"{run}/below/ckpt-6"


@pytest.mark.parametrize("path", ["../ckpt-7", "below/../../ckpt-7", "ckpt-?", "ckpt-4", "..", "/", ".", "ckpt-5/"])
def test_what_is_not_there_or_outside_is_none(run: Path, path: str) -> None:
    write_state(run, path)
    with passed_over(path):
        assert ckpt.latest_checkpoint(run) is None


def test_an_absolute_path_outside_is_none(run: Path) -> None:
    write_state(run, str(run.parent / "ckpt-7"))
    with passed_over("ckpt-7"):
        assert ckpt.latest_checkpoint(run) is None


def test_an_absolute_path_inside_is_found(run: Path) -> None:
    write_state(run, str(run / "ckpt-5"))
    assert ckpt.latest_checkpoint(run) == str(run / "ckpt-5")


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("run/", "run/ckpt-5"), ("run", "run/ckpt-5"), ("./run", "./run/ckpt-5"), ("run/below/..", "run/below/../ckpt-5")],
)
def test_the_path_begins_as_the_directory_that_was_asked(
    run: Path, monkeypatch: pytest.MonkeyPatch, asked: str, answered: str
) -> None:
    write_state(run, "ckpt-5")
    monkeypatch.chdir(run.parent)
    assert ckpt.latest_checkpoint(asked) == answered
    assert ckpt.load(answered)["w"].tolist() == [1, 1]


def test_the_empty_path_is_the_working_directory(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(run, "ckpt-5")
    monkeypatch.chdir(run)
    assert ckpt.latest_checkpoint("") == "ckpt-5"


def test_an_absolute_path_inside_is_given_as_it_stands(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(run, str(run / "ckpt-5"))
    monkeypatch.chdir(run.parent)
    assert ckpt.latest_checkpoint("run") == str(run / "ckpt-5")


def test_another_name_of_the_state_file(run: Path) -> None:
    write_state(run, "ckpt-5", "best")
    assert ckpt.latest_checkpoint(run) is None
    assert ckpt.latest_checkpoint(run, "best") == f"{run}/ckpt-5"


def test_a_checkpoint_named_as_the_state_file(tmp_path: Path) -> None:
    ckpt.save(tmp_path / "checkpoint", {"w": 1})
    write_state(tmp_path, "checkpoint")
    assert ckpt.latest_checkpoint(tmp_path) == str(tmp_path / "checkpoint")


@pytest.mark.parametrize("content", [None, "", "# nothing\n", 'all_model_checkpoint_paths: "ckpt-5"'])
def test_no_state_or_one_without_a_latest_is_none(run: Path, content: str | None) -> None:
    if content is not None:
        (run / "checkpoint").write_text(content)
    assert ckpt.latest_checkpoint(run) is None


def test_no_directory_is_none(tmp_path: Path) -> None:
    assert ckpt.latest_checkpoint(tmp_path / "nothing") is None


def test_an_unreadable_state_raises(run: Path) -> None:
    (run / "checkpoint").write_bytes(b"\x00rubbish")
    with pytest.raises(ckpt.StateFileError, match="run/checkpoint"):
        ckpt.latest_checkpoint(run)


def test_a_path_that_no_file_can_have_raises_an_error_of_ours(run: Path) -> None:
    (run / "checkpoint").write_bytes(b'model_checkpoint_path: "ckpt\\000-5"')
    with pytest.raises(ckpt.StorageError):
        ckpt.latest_checkpoint(run)


def test_no_permission_raises(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: object, key: str) -> None:
        raise PermissionDeniedError(f"{key}: not for you", path=key)

    write_state(run, "ckpt-5")
    monkeypatch.setattr("cloudckpt.storage.local.store.LocalStore.get", denied)
    with pytest.raises(PermissionError):
        ckpt.latest_checkpoint(run)


def test_in_memory() -> None:
    with ckpt.CheckpointManager("memory://latest-run/") as manager:
        manager.save(3, {"w": 1})
    assert ckpt.latest_checkpoint("memory://latest-run") == "memory://latest-run/ckpt-3"


@pytest.fixture
def version_1(run: Path) -> Path:
    """The directory, also with `model-1` of version 1 in one file, and `model-2` in two."""
    for name in ("model-1", "model-2-00000-of-00002", "model-2-00001-of-00002"):
        save_v1(open_location(run / name), {name: np.ones(2)})
    return run


@pytest.mark.parametrize(
    "path",
    ["model-1", "model-2-?????-of-00002", "model-2-00001-of-00002", "/export/old/model-2-?????-of-00002", "model-2-*"],
)
def test_files_of_version_1_are_found_by_name_and_by_pattern(version_1: Path, path: str) -> None:
    write_state(version_1, path)
    assert ckpt.latest_checkpoint(version_1) == f"{version_1}/{path.rpartition('/')[2]}"


@pytest.mark.parametrize("path", ["model-2", "model-2-?????-of-00003", "model-3", "nothing-*", "../run/model-[3-4]"])
def test_files_of_version_1_that_are_not_there_are_none(version_1: Path, path: str) -> None:
    write_state(version_1, path)
    with passed_over(path):
        assert ckpt.latest_checkpoint(version_1) is None


def test_an_index_comes_before_a_file_of_the_same_name(version_1: Path) -> None:
    ckpt.save(version_1 / "model-1", {"w": np.zeros(1)})
    write_state(version_1, "model-1")
    assert ckpt.load(ckpt.latest_checkpoint(version_1) or "")["w"].tolist() == [0]


@pytest.fixture
def steps(run: Path) -> Path:
    """The directory, with the steps 1 to 3 in a state file that names them."""
    for step in (1, 2, 3):
        ckpt.save(run / f"ckpt-{step}", {"w": np.full(step, step)})
    write_state(run, "ckpt-3", older=[f"ckpt-{step}" for step in (1, 2, 3)])
    return run


def lose_data(run: Path, *steps: int) -> None:
    for step in steps:
        (run / f"ckpt-{step}.data-00000-of-00001").unlink()


def test_one_that_is_still_being_copied_is_passed_over(steps: Path) -> None:
    lose_data(steps, 3)
    with passed_over("ckpt-3", "is missing"):
        assert ckpt.latest_checkpoint(steps) == f"{steps}/ckpt-2"
    (steps / "ckpt-2.data-00000-of-00001").write_bytes(b"short")
    with passed_over("ckpt-3", "is missing"), passed_over("ckpt-2", "has 5 bytes where the index needs"):
        assert ckpt.latest_checkpoint(steps) == f"{steps}/ckpt-1"


@pytest.mark.parametrize("damage", [b"", b"no index"])
def test_one_whose_index_is_damaged_or_not_yet_there_is_passed_over(steps: Path, damage: bytes) -> None:
    (steps / "ckpt-3.index").write_bytes(damage)
    with passed_over("ckpt-3", "ckpt-3.index"):
        assert ckpt.latest_checkpoint(steps) == f"{steps}/ckpt-2"
    (steps / "ckpt-3.index").unlink()
    with passed_over("ckpt-3"):
        assert ckpt.latest_checkpoint(steps) == f"{steps}/ckpt-2"


def test_something_and_nothing_whole_is_not_none(steps: Path) -> None:
    """Whoever took None for an answer would start from scratch."""
    lose_data(steps, 1, 2, 3)
    with pytest.warns(RecoveryWarning), pytest.raises(CheckpointDamagedError, match=r"ckpt-3' is not whole: .*missing"):
        ckpt.latest_checkpoint(steps)


def test_files_of_version_1_that_lack_are_passed_over(version_1: Path) -> None:
    write_state(version_1, "model-2-?????-of-00002", older=["model-1"])
    (version_1 / "model-2-00001-of-00002").unlink()
    with passed_over("model-2-?????-of-00002", "it lacks 1 of its 2 files"):
        assert ckpt.latest_checkpoint(version_1) == f"{version_1}/model-1"


def test_one_that_is_replaced_while_it_is_looked_at_is_not_passed_over(
    steps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index is read, then another is put in its place and the old data is deleted."""
    get, replacements = LocalStore.get, iter([1])

    def then_replaced(self: LocalStore, key: str) -> object:
        answer = get(self, key)
        if key.endswith("ckpt-3.index") and next(replacements, None):
            ckpt.save(steps / "ckpt-3", {"w": np.ones(99)})
        return answer

    monkeypatch.setattr(LocalStore, "get", then_replaced)
    assert ckpt.latest_checkpoint(steps) == f"{steps}/ckpt-3"
    assert next(replacements, None) is None
