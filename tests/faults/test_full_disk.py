"""Disks that are full, read-only or limited, for real: the old checkpoint is untouched, and nothing else is left."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import traceback
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.errors import CheckpointNotFoundError, PermissionDeniedError, StorageError
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location
from cloudckpt.storage.store import IfAbsent
from tests.faults.states import files, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it forks beside others' threads

SMALL = {"w": np.arange(1000)}
LARGE = {"w": np.arange(500_000)}  # 4 MB


def check_untouched(prefix: str) -> None:
    """The small checkpoint is there, and no other file."""
    np.testing.assert_array_equal(ckpt.load(prefix)["w"], SMALL["w"])
    place = Location(LocalStore(), prefix)
    assert files(place) == named(place)


def in_child(act: Callable[[], None]) -> None:
    """Run it in a process of its own, which may take limits upon itself and give up rights."""
    if (child := os.fork()) == 0:
        try:
            act()
        except BaseException:  # noqa: BLE001 - the end of a process, which no exception leaves
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk; test_disk_errors.py plays a full one by errno")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this container may not mount; test_disk_errors.py plays a full disk by errno")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    prefix = str(small_disk / "run" / "ckpt")
    ckpt.save(prefix, SMALL)
    for _ in range(2):
        with pytest.raises(StorageError, match="disk is full: free some space") as failure:
            ckpt.save(prefix, LARGE)
        assert failure.value.path is not None
        assert failure.value.path.startswith(prefix)
        check_untouched(prefix)
    ckpt.save(prefix, {"w": SMALL["w"] + 1})
    assert ckpt.load(prefix)["w"][0] == 1


def test_a_disk_that_fills_up_under_a_manager(small_disk: Path) -> None:
    with ckpt.CheckpointManager(small_disk / "run", max_to_keep=None) as manager:
        step = 0
        with pytest.raises(StorageError, match="disk is full"):
            for step in range(100):
                manager.save(step, {"w": np.full(10_000, step)})
        assert step > 3
        assert manager.restore_latest()[1] == step - 1
        assert manager.all_steps() == list(range(step))
        os.unlink(small_disk / "run" / "ckpt-0.index")
        os.unlink(small_disk / "run" / "ckpt-0.data-00000-of-00001")
        manager.save(step, {"w": np.full(10_000, step)})
        assert manager.restore_latest()[1] == step


def test_a_disk_that_is_mounted_read_only(small_disk: Path) -> None:
    prefix = str(small_disk / "run" / "ckpt")
    ckpt.save(prefix, SMALL)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for path in (prefix, str(small_disk / "new" / "ckpt")):
        with pytest.raises(PermissionDeniedError, match="mounted read-only"):
            ckpt.save(path, LARGE)
    check_untouched(prefix)


def test_files_larger_than_the_process_may_write(tmp_path: Path) -> None:
    prefix = str(tmp_path / "ckpt")
    ckpt.save(prefix, SMALL)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        with pytest.raises(StorageError, match="limit of this process"):
            ckpt.save(prefix, LARGE)

    in_child(limited)
    check_untouched(prefix)


def test_more_files_than_the_process_may_open(tmp_path: Path) -> None:
    prefix = str(tmp_path / "ckpt")
    ckpt.save(prefix, SMALL)

    def limited() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir("/dev/fd")))
        while (used := os.open(os.devnull, os.O_RDONLY) + 1) <= highest:
            pass  # until no number is free below
        failures: list[str] = []
        for free in range(8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + free, hard))
            try:
                ckpt.save(prefix, LARGE)
            except StorageError as error:
                failures.append(str(error))
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
                check_untouched(prefix)
            else:
                break
        assert failures
        assert all("ulimit -n" in failure for failure in failures)
        ckpt.save(prefix, SMALL)

    in_child(limited)
    check_untouched(prefix)


def as_nobody(act: Callable[[], None]) -> None:
    """Run it in a process that is not root's."""

    def unprivileged() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setegid(65534)
            os.seteuid(65534)
        act()

    in_child(unprivileged)


@pytest.fixture
def public_path(tmp_path: Path) -> Path:
    """A temporary folder that any user can reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == tmp_path.owner() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o055)
    return tmp_path


def test_a_folder_that_may_not_be_written(public_path: Path) -> None:
    prefix = str(public_path / "run" / "ckpt")
    ckpt.save(prefix, SMALL)
    os.chmod(public_path / "run", 0o555)

    def denied() -> None:
        for path in (prefix, str(public_path / "run" / "new" / "ckpt")):
            with pytest.raises(PermissionDeniedError, match="owner and mode"):
                ckpt.save(path, LARGE)
        np.testing.assert_array_equal(ckpt.load(prefix)["w"], SMALL["w"])

    as_nobody(denied)
    check_untouched(prefix)


def test_a_folder_that_may_not_be_looked_into(public_path: Path) -> None:
    prefix = str(public_path / "run" / "ckpt")
    ckpt.save(prefix, SMALL)
    os.chmod(public_path / "run", 0o000)

    def denied() -> None:
        for act in (lambda: ckpt.save(prefix, LARGE), lambda: ckpt.load(prefix)):
            with pytest.raises(PermissionDeniedError, match="owner and mode"):
                act()
        with ckpt.CheckpointManager(public_path / "run") as manager, pytest.raises(PermissionDeniedError):
            manager.restore_latest(default=None)

    as_nobody(denied)
    os.chmod(public_path / "run", 0o755)
    check_untouched(prefix)


def test_signals_all_the_time(tmp_path: Path) -> None:
    prefix = str(tmp_path / "ckpt")
    caught = []
    before = signal.signal(signal.SIGALRM, lambda *arguments: caught.append(arguments[0]))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for value in range(5):
            ckpt.save(prefix, {"w": LARGE["w"] + value})
            assert ckpt.load(prefix)["w"][0] == value
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught


# Names and what stands in their place.


@pytest.mark.parametrize("length", [300, 255, 249, 236])
def test_a_prefix_that_leaves_no_room_for_its_files(tmp_path: Path, length: int) -> None:
    with pytest.raises(StorageError, match="too long"):
        ckpt.save(tmp_path / ("x" * length), SMALL)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_prefix_works_and_can_be_replaced(tmp_path: Path) -> None:
    prefix = str(tmp_path / ("x" * 235))
    for _ in range(2):
        ckpt.save(prefix, SMALL)
    check_untouched(prefix)


def test_a_path_that_nobody_could_read_is_not_written(tmp_path: Path) -> None:
    folder = os.path.join(tmp_path, *["x" * 200] * 19)
    folder = os.path.join(folder, "y" * (4095 - len(folder) - len("/ckpt.index") - 1))
    with pytest.raises(StorageError, match="path is too long"):
        ckpt.save(f"{folder}/ckpt", SMALL)
    assert not any(names for _, _, names in os.walk(tmp_path))


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a log")
    for prefix in (tmp_path / "run" / "ckpt", tmp_path / "run" / "deeper" / "ckpt"):
        with pytest.raises(StorageError, match="a file is in the place of one of its folders"):
            ckpt.save(prefix, SMALL)
        with pytest.raises(CheckpointNotFoundError):
            ckpt.load(prefix)
    assert (tmp_path / "run").read_text() == "a log"


@pytest.mark.parametrize("name", ["ckpt.index", "ckpt.data-00000-of-00001", "checkpoint"])
@pytest.mark.parametrize(("target", "reason"), [("nowhere", "leads nowhere"), (None, "go round in a circle")])
def test_a_link_in_the_place_of_a_file(tmp_path: Path, name: str, target: str | None, reason: str) -> None:
    (tmp_path / name.replace("ckpt.", "ckpt-1.")).symlink_to(target or name.replace("ckpt.", "ckpt-1."))
    with ckpt.CheckpointManager(tmp_path) as manager, pytest.raises(StorageError, match=reason):
        manager.save(1, SMALL)
    left = {path.name for path in tmp_path.iterdir() if not path.is_symlink()}
    assert left == ({"ckpt-1.index", "ckpt-1.data-00000-of-00001"} if name == "checkpoint" else set())


def test_a_folder_that_is_removed_under_the_writer(tmp_path: Path) -> None:
    """The object of a save is not missing: it must not look so to whoever catches FileNotFoundError."""
    with LocalStore() as store, store.create(str(tmp_path / "run" / "ckpt.index"), 4, IfAbsent()) as upload:
        shutil.rmtree(tmp_path / "run")
        upload.write(0, [b"data"], 0)
        with pytest.raises(StorageError, match="its folder was removed while it was written") as failure:
            upload.complete(0)
    assert not isinstance(failure.value, FileNotFoundError)
    assert not (tmp_path / "run").exists()
