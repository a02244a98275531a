"""V1 files that were cut short or altered, at every byte: a named error, or exactly what was saved."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cramjam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudckpt as ckpt
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.bundle.table_reader import _decompress
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.bundle.v1_header import V1Tensor, decode_header, encode_header
from cloudckpt.bundle.v1_record import decode_record, encode_record
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.errors import TensorNotFoundError, UnsupportedOperationError
from cloudckpt.variables.dtypes import DataType
from tests.checkpoint.v1 import forge, record, saved
from tests.objects.trees.equality import assert_same

if TYPE_CHECKING:
    from pathlib import Path

VECTOR = np.arange(-20, 20, dtype=np.int16)
TENSORS = {
    "a": VECTOR,
    "empty": np.empty((0, 2)),
    "halves": SlicedTensor((4, 2), {((0, 2), (0, None)): np.ones((2, 2)), ((2, 2), (0, None)): np.zeros((2, 2))}),
    "strings": np.array([b"\0", b"long" * 20], object),
}
LOADED = {**TENSORS, "halves": np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])}
WHOLE = ((0, None),)


@pytest.fixture(params=[False, True], ids=["plain", "snappy"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    saved(tmp_path / "ckpt", TENSORS, compress=request.param)
    return tmp_path / "ckpt"


def test_a_file_cut_short_anywhere(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(ckpt.CheckpointDamagedError) as caught:
            ckpt.load(file)
        assert caught.value.path == str(file)
        assert str(file) in str(caught.value)


@pytest.mark.parametrize("mask", [0x01, 0x40, 0x80, 0xFF])
def test_a_file_altered_anywhere(file: Path, mask: int) -> None:
    """Every byte is under a checksum, or is compared with what it must be: none can change unnoticed."""
    whole = bytearray(file.read_bytes())
    for position in range(len(whole)):
        whole[position] ^= mask
        file.write_bytes(whole)
        with pytest.raises(ckpt.CheckpointDamagedError) as caught:
            ckpt.load(file)
        assert str(file) in str(caught.value)
        whole[position] ^= mask
    file.write_bytes(whole)
    assert_same(ckpt.load(file), LOADED)


def test_bytes_that_were_put_in_or_taken_out(file: Path) -> None:
    whole = file.read_bytes()
    for position in range(0, len(whole), 7):
        for data in (whole[:position] + b"\0" + whole[position:], whole[:position] + whole[position + 1 :]):
            file.write_bytes(data)
            try:
                assert_same(ckpt.load(file), LOADED)
            except ckpt.CheckpointDamagedError as error:
                assert str(file) in str(error)  # noqa: PT017 - either is right


@given(st.data())
def test_any_header_is_tensors_or_damage(data: st.DataObject) -> None:
    """Altered before the checksums are made, so that all that guards is what the parsing checks."""
    header = bytearray(encode_header({"t": V1Tensor(DataType.FLOAT, (3, 4), (((0, 2), (0, None)),))}))
    for _ in range(data.draw(st.integers(1, 3))):
        header[data.draw(st.integers(0, len(header) - 1))] = data.draw(st.integers(0, 255))
    try:
        tensors = decode_header(bytes(header), "ckpt")
    except (ckpt.CheckpointDamagedError, ckpt.CheckpointVersionError) as error:
        assert "ckpt" in str(error)  # noqa: PT017 - either is right
    else:
        assert all(tensor.stored_elements < 2**63 for tensor in tensors.values())


@given(st.data())
def test_any_record_is_the_right_number_of_values_or_damage(data: st.DataObject) -> None:
    _, value = record("t", VECTOR, DataType.INT16)
    altered = bytearray(value)
    for _ in range(data.draw(st.integers(1, 3))):
        altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_record(
            bytes(altered), path="ckpt", name="t", tensor_slice=WHOLE, dtype=DataType.INT16, count=40
        )
    except ckpt.CheckpointDamagedError as error:
        assert error.tensor == "t"  # noqa: PT017 - either is right
    else:
        assert decoded.shape == (40,)


@pytest.mark.parametrize("dtype", [DataType.INT64, DataType.STRING, DataType.FLOAT])
def test_a_small_file_claims_no_large_memory(tmp_path: Path, dtype: DataType) -> None:
    shape = (2**33, 2**8)
    forge(tmp_path / "ckpt", {"t": V1Tensor(dtype, shape, (((0, None),) * 2,))}, [])
    with pytest.raises(ckpt.CheckpointDamagedError, match="can't hold"):
        ckpt.load(tmp_path / "ckpt")


def test_slices_that_overlap_add_up_to_no_large_memory(tmp_path: Path) -> None:
    """A hundred slices of a byte each can't pass for a hundred bytes that they don't cover."""
    slices = tuple([((0, 1 + number),) for number in range(100)])
    forge(tmp_path / "ckpt", {"t": V1Tensor(DataType.BOOL, (5000,), slices)}, [])
    with pytest.raises(ckpt.CheckpointDamagedError, match="overlap"):
        ckpt.load(tmp_path / "ckpt")


def test_slices_that_do_not_cover(tmp_path: Path) -> None:
    forge(tmp_path / "ckpt", {"t": V1Tensor(DataType.FLOAT, (2**50,), ())}, [])
    with pytest.raises(TensorNotFoundError, match="'t'"):
        ckpt.load(tmp_path / "ckpt")


def test_a_decompression_bomb() -> None:
    """A block that unpacks to far more than it can is refused before it is unpacked."""
    bomb = bytearray(cramjam.snappy.compress_raw(bytes(100)))
    assert bomb[0] == 100
    with pytest.raises(ValueError, match="claims to unpack to"):
        _decompress(memoryview(b"\xff\xff\xff\xff\x0f" + bytes(bomb[1:])), 1)


def test_a_record_of_another_dtype(tmp_path: Path) -> None:
    """Values in the list of another dtype are none in that of the right one."""
    forge(
        tmp_path / "ckpt",
        {"t": V1Tensor(DataType.INT32, (2,), (WHOLE,))},
        [record("t", np.ones(2, np.float32), DataType.FLOAT)],
    )
    with pytest.raises(ckpt.CheckpointDamagedError, match="'t' has 0 bytes of values"):
        ckpt.load(tmp_path / "ckpt")


def test_a_record_under_the_key_of_another_tensor(tmp_path: Path) -> None:
    key, _ = record("t", np.ones(2, np.float32))
    _, value = record("u", np.ones(2, np.float32))
    forge(tmp_path / "ckpt", {"t": V1Tensor(DataType.FLOAT, (2,), (WHOLE,))}, [(key, value)])
    with pytest.raises(ckpt.CheckpointDamagedError, match="by what it says itself"):
        ckpt.load(tmp_path / "ckpt")


def test_a_key_that_no_slice_has_is_left_alone(tmp_path: Path) -> None:
    records = [record("t", np.ones(2, np.float32)), (b"\0", b"nothing"), (b"\xff", b"")]
    forge(tmp_path / "ckpt", {"t": V1Tensor(DataType.FLOAT, (2,), (WHOLE,))}, records)
    assert ckpt.load(tmp_path / "ckpt")["t"].tolist() == [1, 1]


def test_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "ckpt").write_bytes(encode_table([]))
    with pytest.raises(ckpt.CheckpointDamagedError, match="it has no header"):
        ckpt.load(tmp_path / "ckpt")


def test_a_footer_that_points_at_itself(tmp_path: Path) -> None:
    saved(tmp_path / "ckpt", {"t": VECTOR})
    data = bytearray((tmp_path / "ckpt").read_bytes())
    data[-48:-8] = struct.pack("<B", 0x80) * 40
    (tmp_path / "ckpt").write_bytes(data)
    with pytest.raises(ckpt.CheckpointDamagedError, match="position of a block can't be read"):
        ckpt.load(tmp_path / "ckpt")


@pytest.mark.parametrize("rank", [64, 65, 254])
def test_as_many_dimensions_as_tensorflow_has(tmp_path: Path, rank: int) -> None:
    """TensorFlow writes up to 254, NumPy has 64, or 32 before its second version."""
    where = ((0, None),) * rank
    value = encode_record("t", where, DataType.FLOAT, np.ones(1, np.float32))
    forge(
        tmp_path / "ckpt",
        {"t": V1Tensor(DataType.FLOAT, (1,) * rank, (where,))},
        [(encode_slice_key("t", where), value)],
    )
    try:
        assert ckpt.load(tmp_path / "ckpt")["t"].tolist() == np.ones((1,) * rank).tolist()
    except UnsupportedOperationError as error:
        assert f"has {rank} dimensions" in str(error)  # noqa: PT017 - which it is depends on NumPy
        with pytest.raises(ValueError, match="dimension"):
            np.empty((1,) * rank)
