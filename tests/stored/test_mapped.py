"""Tensors mapped from local files: no copy, read-only, only where the bytes are the array, and only of one save."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import encode_index
from cloudckpt.bundle.naming import data_filename
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.checksums import crc32c
from cloudckpt.errors import ObjectChangedError, UnsupportedOperationError
from cloudckpt.storage.open import open_location
from cloudckpt.stored.checkpoint import open_checkpoint
from cloudckpt.variables.dtypes import DataType, from_numpy, to_numpy

MATRIX = np.arange(60_000.0).reshape(300, 200)
ARRAYS: dict[str, Any] = {
    "bf16": np.arange(4096).astype(ml_dtypes.bfloat16),
    "bytes": np.arange(100, dtype=np.uint8),
    "matrix": MATRIX,
    "none": np.empty((0, 2)),
    "parts": SlicedTensor((2, 3), {((0, 1), (0, None)): np.ones((1, 3)), ((1, 1), (0, None)): np.ones((1, 3))}),
    "text": np.array([b"a", b"bc"], object),
}
MAPPED = ["bf16", "bytes", "matrix"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_tensors(open_location(tmp_path / "ckpt"), ARRAYS)
    return tmp_path / "ckpt"


def data_file(path: Path) -> Path:
    (file,) = path.parent.glob(f"{path.name}.data-*")
    return file


def is_view(array: np.ndarray) -> bool:
    return not array.flags.owndata and not array.flags.writeable


def test_what_can_be_mapped_is(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        assert [name for name, tensor in checkpoint.items() if tensor.is_mapped] == MAPPED
        arrays = checkpoint.read()
        for name in MAPPED:
            assert is_view(arrays[name])
            assert is_view(checkpoint[name][...])
            assert np.array_equal(arrays[name], ARRAYS[name])
            assert arrays[name].dtype == ARRAYS[name].dtype
            with pytest.raises(ValueError, match="read-only"):
                arrays[name][...] = 0
        assert {name for name, array in checkpoint.arrays() if is_view(array)} == set(MAPPED)


def test_others_are_read_as_usual(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        assert checkpoint["text"][...].tolist() == [b"a", b"bc"]
        assert checkpoint["none"][...].shape == (0, 2)
        assert checkpoint["parts"][...].tolist() == [[1.0] * 3] * 2
        assert checkpoint["parts"][...].flags.writeable


def test_a_part_is_a_view_too(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        matrix = checkpoint["matrix"]
        for index in (np.s_[10:20], np.s_[..., 3], np.s_[5, 2:7], np.s_[::-1, None]):
            assert is_view(matrix[index])
            assert np.array_equal(matrix[index], MATRIX[index])
        assert matrix[3, 4] == MATRIX[3, 4]
        assert matrix[5:5].shape == (0, 200)


def test_scalars_are_views(tmp_path: Path) -> None:
    save_tensors(open_location(tmp_path / "ckpt"), {"step": np.array(7)})
    with open_checkpoint(tmp_path / "ckpt", mmap=True) as checkpoint:
        assert is_view(checkpoint["step"][...])
        assert checkpoint["step"][()] == 7


def test_a_tensor_is_mapped_once(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        assert np.shares_memory(checkpoint["matrix"][...], checkpoint["matrix"][5])


def test_numpys_protocol_need_not_copy(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        matrix = checkpoint["matrix"]
        assert is_view(np.asarray(matrix))
        assert is_view(matrix.__array__(copy=False))
        assert np.array(matrix, copy=True).flags.owndata
        assert matrix.__array__(copy=True).flags.owndata
        assert np.asarray(matrix, np.float32).dtype == np.float32


def test_arrays_outlive_the_checkpoint_and_its_files(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        array = checkpoint["matrix"][5:]
    for file in path.parent.iterdir():
        file.unlink()
    del checkpoint
    gc.collect()
    assert np.array_equal(array, MATRIX[5:])


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks for the mapping where Linux lists them")
def test_the_mapping_ends_with_the_last_array(path: Path) -> None:
    def is_listed() -> bool:
        return data_file(path).name in Path("/proc/self/maps").read_text()

    with open_checkpoint(path, mmap=True) as checkpoint:
        array = checkpoint["matrix"][...]
    del checkpoint
    gc.collect()
    assert is_listed()
    del array
    gc.collect()
    assert not is_listed()


def test_mapped_bytes_are_checked_only_when_asked(path: Path) -> None:
    with open_checkpoint(path) as checkpoint:
        offset = checkpoint["matrix"].pieces[0].offset
    with data_file(path).open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff")
    with open_checkpoint(path, mmap=True) as checkpoint:
        assert not np.array_equal(checkpoint["matrix"][...], MATRIX)
        for check in (
            lambda: checkpoint["matrix"].read(verify=True),
            lambda: checkpoint["matrix"].read(7, verify=True),
            lambda: checkpoint.read(verify=True),
            lambda: dict(checkpoint.arrays(verify=True)),
        ):
            with pytest.raises(ckpt.ChecksumMismatchError, match="'matrix'"):
                check()
        assert checkpoint["bf16"].read(verify=True).flags.writeable


def test_a_file_that_was_replaced_is_not_mapped(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        file = data_file(path)
        copy = file.with_name("copy")
        copy.write_bytes(file.read_bytes())
        os.replace(copy, file)
        with pytest.raises(ObjectChangedError, match="open it again"):
            checkpoint["matrix"][...]


def test_a_file_that_is_gone_is_not_mapped(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        data_file(path).unlink()
        with pytest.raises(ckpt.CheckpointDamagedError, match="not whole"):
            checkpoint["matrix"][...]


def test_a_file_that_is_too_short_is_not_mapped(path: Path) -> None:
    os.truncate(data_file(path), 1000)
    with (
        open_checkpoint(path, mmap=True) as checkpoint,
        pytest.raises(ckpt.CheckpointDamagedError, match="1000 bytes"),
    ):
        checkpoint["matrix"][...]


def test_what_was_mapped_stays_when_the_checkpoint_is_replaced(path: Path) -> None:
    with open_checkpoint(path, mmap=True) as checkpoint:
        checkpoint["matrix"][0]
        save_tensors(open_location(path), {"matrix": MATRIX + 1})
        assert np.array_equal(checkpoint["matrix"][...], MATRIX)


def write_by_hand(path: Path, array: np.ndarray, offset: int, *, big_endian: bool = False) -> None:
    """A checkpoint with one tensor `x`, at some offset of its data file."""
    data = array.tobytes()
    entry = BundleEntry(from_numpy(array.dtype.newbyteorder("=")), array.shape, 0, offset, len(data), crc32c(data))
    Path(data_filename(str(path), 0, 1)).write_bytes(b"\xaa" * offset + data)
    header = BundleHeader(num_shards=1, big_endian=big_endian)
    Path(f"{path}.index").write_bytes(encode_index(header, {"x": entry}))


@pytest.mark.parametrize(("offset", "is_mapped"), [(0, True), (8, True), (64, True), (4, False), (1, False)])
def test_an_offset_that_does_not_suit_the_dtype_is_read(tmp_path: Path, offset: int, is_mapped: bool) -> None:
    write_by_hand(tmp_path / "ckpt", np.arange(5.0), offset)
    with open_checkpoint(tmp_path / "ckpt", mmap=True) as checkpoint:
        assert checkpoint["x"].is_mapped == is_mapped
        array = checkpoint["x"][...]
        assert array.flags.aligned
        assert is_view(array) == is_mapped
        assert array.tolist() == [0, 1, 2, 3, 4]


def test_the_other_byte_order_is_read(tmp_path: Path) -> None:
    order = "<" if sys.byteorder == "big" else ">"
    write_by_hand(tmp_path / "ckpt", np.arange(5, dtype=f"{order}f8"), 0, big_endian=sys.byteorder == "little")
    with open_checkpoint(tmp_path / "ckpt", mmap=True) as checkpoint:
        assert not checkpoint["x"].is_mapped
        assert checkpoint["x"][1:3].tolist() == [1, 2]
        assert checkpoint["x"][...].tolist() == [0, 1, 2, 3, 4]


def every_fixed_dtype() -> list[np.dtype]:
    no_arrays = (DataType.STRING, DataType.RESOURCE, DataType.VARIANT)
    return [to_numpy(data_type) for data_type in DataType if data_type not in no_arrays]


@pytest.mark.parametrize("dtype", every_fixed_dtype(), ids=str)
def test_every_dtype_of_fixed_size_is_mapped(tmp_path: Path, dtype: np.dtype) -> None:
    array = np.zeros((3, 50), dtype)
    save_tensors(open_location(tmp_path / "ckpt"), {"x": array})
    with open_checkpoint(tmp_path / "ckpt", mmap=True) as checkpoint:
        found = checkpoint["x"][...]
        assert is_view(found)
        assert found.dtype == dtype
        assert found.tobytes() == array.tobytes()


def test_another_store_is_refused() -> None:
    ckpt.save("memory://mapped/ckpt", {"w": np.ones(3)})
    with pytest.raises(UnsupportedOperationError, match="not on a disk of this machine: open it without mmap=True"):
        open_checkpoint("memory://mapped/ckpt", mmap=True)


def test_a_file_url_is_local(path: Path) -> None:
    with open_checkpoint(f"file://{path}", mmap=True) as checkpoint:
        assert is_view(checkpoint["matrix"][...])


def test_version_1_is_read_as_usual(tmp_path: Path) -> None:
    save_v1(open_location(tmp_path / "model"), {"x": np.arange(3.0)})
    with open_checkpoint(tmp_path / "model", mmap=True) as checkpoint:
        assert not checkpoint["x"].is_mapped
        assert checkpoint["x"][...].tolist() == [0, 1, 2]
