"""Paths, folders and disks that can't be used: each an error of our own tree, nothing lost and nothing left."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.errors import CloudckptError, PermissionDeniedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATE = {"w": np.arange(300_000.0)}


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["ckpt", "no/folder/ckpt", "\n", "é"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(ckpt.CheckpointNotFoundError, match="there is no checkpoint") as caught:
        ckpt.load(tmp_path / name)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.path == str(tmp_path / name)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001", "/"])
@pytest.mark.parametrize("exists", [False, True])
def test_a_path_that_is_no_prefix(tmp_path: Path, suffix: str, exists: bool) -> None:
    if exists:
        ckpt.save(tmp_path / "ckpt", {"a": 1})
    before = left_in(tmp_path)
    path = f"{tmp_path}/ckpt{suffix}"
    for act in (lambda: ckpt.load(path), lambda: ckpt.save(path, {"a": 2})):
        with pytest.raises(ckpt.CheckpointPathError) as caught:
            act()
        assert isinstance(caught.value, ValueError)
        assert f"{tmp_path}/ckpt" in str(caught.value)
    assert left_in(tmp_path) == before


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StorageError, match="a file is in the place of one of its folders"):
        ckpt.save(tmp_path / "run" / "ckpt", STATE)
    with pytest.raises(ckpt.CheckpointNotFoundError):
        ckpt.load(tmp_path / "run" / "ckpt")
    assert left_in(tmp_path) == ["run"]


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_folder_in_the_place_of_a_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"ckpt{suffix}").mkdir()
    with pytest.raises(CloudckptError):
        ckpt.save(tmp_path / "ckpt", STATE)
    assert left_in(tmp_path) == []


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    for name in ("x" * 240, "x" * 300):
        with pytest.raises(StorageError, match="too long for this file system"):
            ckpt.save(tmp_path / name, STATE)
    assert left_in(tmp_path) == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """This process may write no larger files, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_disk_that_takes_no_more(tmp_path: Path, overwrite: bool) -> None:
    if overwrite:
        ckpt.save(tmp_path / "ckpt", {"a": 1})
    before = left_in(tmp_path)
    with largest_file(1 << 20), pytest.raises(StorageError, match=str(tmp_path)):
        ckpt.save(tmp_path / "ckpt", STATE)
    assert left_in(tmp_path) == before
    assert not overwrite or ckpt.load(tmp_path / "ckpt") == {"a": 1}


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says when the space is not there, at once or in the middle of the data."""
    ckpt.save(tmp_path / "ckpt", {"a": 1})
    before = left_in(tmp_path)

    def full(*args: object) -> int:
        raise OSError(28, os.strerror(28))

    for call in ("posix_fallocate", "pwritev"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(StorageError, match="the disk is full: free some space"):
                ckpt.save(tmp_path / "ckpt", STATE)
        assert left_in(tmp_path) == before
    assert ckpt.load(tmp_path / "ckpt") == {"a": 1}


@pytest.mark.parametrize("call", ["fsync", "link", "utime"])
def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A fault at any moment of a save over an old checkpoint: it is told, and one of the two is whole."""
    real = getattr(os, call)
    for number in range(12):
        ckpt.save(tmp_path / "ckpt", {"a": 1})
        calls = []

        def failing(*args: object, number: int = number, calls: list[object] = calls, **options: object) -> object:
            calls.append(args)
            if len(calls) == number + 1:
                raise OSError(5, os.strerror(5))
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                ckpt.save(tmp_path / "ckpt", {"a": 2})
            except CloudckptError:
                assert ckpt.load(tmp_path / "ckpt") in ({"a": 1}, {"a": 2})
            else:
                assert ckpt.load(tmp_path / "ckpt") == {"a": 2}
    assert calls


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionDeniedError, match="this user may not do that"):
            ckpt.save(tmp_path / "ckpt", STATE)
    finally:
        tmp_path.chmod(0o700)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("call", ["open", "mkdir"])
@pytest.mark.parametrize("number", [1, 13, 30], ids=["EPERM", "EACCES", "EROFS"])
def test_a_folder_that_the_system_does_not_let_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    real = getattr(os, call)

    def denied(path: str, flags: int = os.O_WRONLY, *args: object, **options: object) -> object:
        if call == "mkdir" or flags & os.O_WRONLY:
            raise OSError(number, os.strerror(number))
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, call, denied)
    with pytest.raises(PermissionDeniedError) as caught:
        ckpt.save(tmp_path / "new" / "ckpt", STATE)
    assert isinstance(caught.value, PermissionError)
    monkeypatch.undo()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("path", ["/proc/ckpt", "/sys/ckpt", "/dev/null/ckpt"])
def test_places_that_take_no_files(path: str) -> None:
    with pytest.raises(StorageError):
        ckpt.save(path, {"a": 1})
