"""Saving V1 checkpoints: what is refused, and that a file is replaced whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint import v1_save
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.v1_reader import open_v1
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.errors import (
    InvalidArgumentError,
    PreconditionFailedError,
    TransientStorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Capabilities
from cloudckpt.testing import FaultyStore
from tests.checkpoint.v1 import saved
from tests.golden.cases import tensors as golden_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import ObjectServer

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_what_it_returns_and_leaves(tmp_path: Path) -> None:
    assert saved(tmp_path / "run" / "ckpt", {"t": MATRIX}) == str(tmp_path / "run" / "ckpt")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["ckpt"]


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(MATRIX),
        MATRIX[::2, ::-1],
        np.array(["a", "żółw", ""]),
        np.array([b"a", b"bc"]),
        np.array(["text", b"\xff"], object),
        np.array([[True, False]]),
        np.array([2**32 - 1, 0], np.uint32),
        np.array([2**64 - 1, 0], np.uint64),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("compress", [False, True])
def test_arrays_of_all_kinds(tmp_path: Path, array: np.ndarray, compress: bool) -> None:
    saved(tmp_path / "ckpt", {"t": array}, compress=compress)
    loaded = ckpt.load(tmp_path / "ckpt")["t"]
    expected = [string.encode() if isinstance(string, str) else string for string in array.reshape(-1).tolist()]
    assert loaded.shape == array.shape
    assert loaded.reshape(-1).tolist() == expected


@pytest.mark.parametrize("name", ["", "\0", "\0\xff\x01", "ż", "a/b:0", "x" * 10_000])
def test_names_of_all_kinds(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "ckpt", {name: MATRIX, "other": MATRIX[0]})
    assert ckpt.load(tmp_path / "ckpt")[name].tolist() == MATRIX.tolist()


ROWS = ((0, 2), (0, None))


@pytest.mark.parametrize(
    ("tensor", "error", "found"),
    [
        (np.zeros(2, "M8[s]"), TypeError, "datetime64"),
        (np.array([1], object), TypeError, "holds str or bytes, not int"),
        (np.array(["\ud800"]), ckpt.StructureError, "no valid text"),
        (golden_tensors("dtypes")["bfloat16/vector"], InvalidArgumentError, "which has no bfloat16"),
        (golden_tensors("dtypes")["qint16/vector"], InvalidArgumentError, "which has no qint16"),
        (golden_tensors("dtypes")["int4/vector"], InvalidArgumentError, "which has no int4"),
        # Not touched, these take no memory.
        (np.zeros(2**29, np.float32), InvalidArgumentError, "it may come to 214748"),
        (np.zeros(2**28, np.int32), InvalidArgumentError, "Save it in slices, or in the V2 format"),
        (SlicedTensor((4, 3), {}), InvalidArgumentError, "it has no slices"),
        (SlicedTensor((4, 3), {ROWS: MATRIX}), InvalidArgumentError, "has shape"),
        (SlicedTensor((4, 3), {((3, 2), (0, None)): MATRIX[:2]}), InvalidArgumentError, "slice.*dimension 0"),
        (
            SlicedTensor((4, 3), {ROWS: MATRIX[:2], ((1, 2), (0, None)): MATRIX[:2]}),
            InvalidArgumentError,
            "overlap",
        ),
        (
            SlicedTensor((4, 3), {ROWS: MATRIX[:2], ((2, 2), (0, None)): MATRIX[2:].astype(int)}),
            InvalidArgumentError,
            "slices are of float32 and int64",
        ),
    ],
    ids=range(13),
)
def test_what_v1_can_not_hold(tmp_path: Path, tensor: Any, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=f"'bad'.*{found}"):
        saved(tmp_path / "ckpt", {"good": MATRIX, "bad": tensor})
    assert not list(tmp_path.iterdir())


def test_a_string_tensor_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudckpt.checkpoint.v1_content.MAX_BYTES", 2000)
    saved(tmp_path / "ckpt", {"t": np.array([b"x" * 900], object)})
    with pytest.raises(InvalidArgumentError, match="it may come to 2025 bytes"):
        saved(tmp_path / "ckpt", {"t": np.array([b"x" * 990], object)})


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    with pytest.raises(ckpt.StructureError, match="not valid UTF-8"):
        saved(tmp_path / "ckpt", {"\udcff": MATRIX})


@pytest.mark.parametrize("name", ["ckpt.index", "ckpt.data-00000-of-00001"])
def test_names_of_v2_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ckpt.CheckpointPathError, match="one file of a checkpoint"):
        saved(tmp_path / name, {"t": MATRIX})


def test_one_file_is_replaced_at_once(tmp_path: Path) -> None:
    for name in ("ckpt", "ckpt-00000-of-00001"):
        saved(tmp_path / name, {"t": MATRIX})
        saved(tmp_path / name, {"u": MATRIX})
        assert list(ckpt.load(tmp_path / name)) == ["u"]


def test_one_of_several_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "ckpt-00001-of-00003"
    saved(file, {"t": MATRIX})
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite=True") as caught:
        saved(file, {"u": MATRIX})
    assert caught.value.path == str(file)
    assert list(ckpt.load(file)) == ["t"]
    saved(file, {"u": MATRIX}, unsafe_overwrite=True)
    assert list(ckpt.load(file)) == ["u"]


def test_several_files_of_one_tensor(tmp_path: Path) -> None:
    for shard in range(4):
        part = {((shard, 1), (0, None)): MATRIX[shard : shard + 1]}
        saved(tmp_path / f"ckpt-{shard:05d}-of-00004", {"t": SlicedTensor((4, 3), part), f"own/{shard}": MATRIX[shard]})
    loaded = ckpt.load(tmp_path / "ckpt-?????-of-00004")
    assert loaded.pop("t").tolist() == MATRIX.tolist()
    assert [array.tolist() for array in loaded.values()] == MATRIX.tolist()


def test_another_writer_in_between_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = v1_save._look

    def look_and_lose(file: Location) -> Any:
        found = look(file)
        (tmp_path / "ckpt").write_bytes(b"the other's")
        return found

    monkeypatch.setattr(v1_save, "_look", look_and_lose)
    for _ in ("created", "replaced"):
        with pytest.raises(ckpt.CommitConflictError, match="another writer"):
            saved(tmp_path / "ckpt", {"t": MATRIX})
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the other's"]


class SingleWriterStore(FaultyStore):
    """One that can't replace on a condition."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(create_if_absent=True)


def test_a_store_that_can_not_replace_safely(tmp_path: Path) -> None:
    location = open_location(tmp_path / "ckpt", None)
    file = Location(SingleWriterStore(location.store, 0), location.key)
    save_v1(file, {"t": MATRIX})
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite=True"):
        save_v1(file, {"u": MATRIX})
    save_v1(file, {"u": MATRIX}, unsafe_overwrite=True)
    assert list(ckpt.load(tmp_path / "ckpt")) == ["u"]


def test_an_array_that_changes_meanwhile_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.zeros(1000, np.int64)
    parts = v1_save._parts

    def change_and_cut(*arguments: Any) -> Any:
        array[:] = -1  # ten bytes each, no longer one
        return parts(*arguments)

    monkeypatch.setattr(v1_save, "_parts", change_and_cut)
    with pytest.raises((InvalidArgumentError, ckpt.StorageError)):
        saved(tmp_path / "ckpt", {"t": array})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["before", "after", "during"])
def test_a_failed_operation_leaves_the_old_file_or_the_new_one(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "ckpt"
    for fail_at in range(1, 20):
        saved(path, {"old": MATRIX})
        location = open_location(path, None)
        store = FaultyStore(location.store, fail_at, mode)
        try:
            save_v1(Location(store, location.key), {"new": MATRIX})
        except (TransientStorageError, PreconditionFailedError, ckpt.CommitError):
            assert list(ckpt.load(path)) in (["old"], ["new"])
        else:
            assert fail_at > len(store.operations)
            assert list(ckpt.load(path)) == ["new"]
            return
        # Of an upload whose beginning was lost, a hidden file may stay, as when a process is killed.
        assert [each.name for each in tmp_path.iterdir() if not each.name.startswith(".")] == ["ckpt"]
    pytest.fail("the save has more operations than it should")


def test_long_files_go_up_in_parts(object_server: ObjectServer) -> None:
    tensors = {f"t{number}": np.random.default_rng(number).standard_normal(10**6) for number in range(3)}
    tensors["long"] = np.arange(2 * 10**6)
    with open_location(object_server.fresh_url(), object_server.storage_options) as file:
        save_v1(file, tensors)
        checkpoint = open_v1(file)
        assert checkpoint is not None
        loaded = checkpoint.read_named(list(tensors))
        assert all((loaded[name] == array).all() for name, array in tensors.items())
        assert checkpoint.is_current()
        save_v1(file, {"t": MATRIX})
        assert not checkpoint.is_current()
    pattern = object_server.fresh_url()
    for shard in range(2):
        with open_location(f"{pattern}-{shard:05d}-of-00002", object_server.storage_options) as file:
            save_v1(file, {f"t{shard}": MATRIX})
    loaded = ckpt.load(f"{pattern}-?????-of-00002", storage_options=object_server.storage_options)
    assert list(loaded) == ["t0", "t1"]
