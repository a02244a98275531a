"""Paths that name a checkpoint, paths that don't, and the files that belong to one."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from cloudckpt.checkpoint.prefix import list_prefix, open_prefix, sort_by_prefix
from cloudckpt.errors import CheckpointPathError
from cloudckpt.storage.store import Always, ObjectInfo

FILES = {
    "/run/ckpt-1.index": "'/run/ckpt-1'",
    "/run/ckpt-1.data-00000-of-00001": "'/run/ckpt-1'",
    "/run/ckpt-1.data-12345-of-67890": "'/run/ckpt-1'",
    "memory://run/ckpt.index": "'memory://run/ckpt'",
    "memory://run/ckpt.data-00000-of-00001": "'memory://run/ckpt'",
}


@pytest.mark.parametrize(("path", "meant"), FILES.items())
def test_one_file_of_a_checkpoint_is_not_its_prefix(path: str, meant: str) -> None:
    with pytest.raises(CheckpointPathError, match="is one file of a checkpoint: pass its prefix") as caught:
        open_prefix(path, None)
    assert meant in str(caught.value)
    assert path in str(caught.value)


FOLDERS = ["/run/", "/", "run/", ".", "..", "./", "run/.", "run/..", "~", "~/"]


@pytest.mark.parametrize(
    "path", [*FOLDERS, Path("."), Path("~"), "memory://", "memory://run/", "file:///run/"], ids=str
)
def test_a_folder_is_no_prefix(path: str | Path) -> None:
    with pytest.raises(CheckpointPathError, match="is a folder: add the checkpoint's name"):
        open_prefix(path, None)


@pytest.mark.parametrize("path", ["", "a\0b", "unknown-protocol://x/y", Path("s3:/bucket/ckpt")], ids=repr)
def test_what_names_no_place(path: str) -> None:
    with pytest.raises(CheckpointPathError):
        open_prefix(path, None)


@pytest.mark.parametrize(
    "path", ["/run/ckpt.data-1", "/run/ckpt.index.x", "/run/index", "/run/ckpt.data-00001-of-00001"]
)
def test_what_only_looks_like_a_file_of_one(path: str) -> None:
    with open_prefix(path, None) as prefix:
        assert prefix.key == path


def info(key: str) -> ObjectInfo:
    return ObjectInfo(key, 1, "1", 0.0)


def test_a_prefix_has_its_own_files_only() -> None:
    name = uuid.uuid4().hex
    with open_prefix(f"memory://{name}/ckpt", None) as prefix:
        own = ["ckpt.data-00000-of-00001", "ckpt.data-00003-of-12345", "ckpt.index"]
        others = ["ckpt.data-1-of-2", "ckpt.meta", "ckpt.b.index", "ckpt.b.data-00000-of-00001", "ckpt-2.index", "ckpt"]
        for key in own + others:
            prefix.store.put(f"{name}/{key}", b"", Always(), crc32c=0)
        files = list_prefix(prefix)
        assert files.index is not None
        assert [*files.data, files.index.key] == [f"{name}/{key}" for key in own]


def test_a_folder_is_sorted_by_prefix() -> None:
    keys = ["run/a.data-00000-of-00001", "run/a.index", "run/b.index", "run/c.data-00000-of-00002", "run/checkpoint"]
    found = sort_by_prefix(map(info, keys))
    assert {prefix: (files.index is not None, len(files.data)) for prefix, files in found.items()} == {
        "run/a": (True, 1),
        "run/b": (True, 0),
        "run/c": (False, 1),
    }
