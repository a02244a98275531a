"""The records of V1 files: as protobuf writes them, and records that are not what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from cloudckpt.bundle.v1_record import decode_record, encode_record
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import DataType

ROWS = ((2, 2), (0, None))
NUMBERS = np.array([1, -2, 3], np.int32)
RECORD = encode_record("t", ROWS, DataType.INT32, NUMBERS)


def damage(data: bytes, name: str = "t", tensor_slice: tuple = ROWS, count: int = 3) -> str:
    with pytest.raises(CheckpointDamagedError) as caught:
        decode_record(data, path="model", name=name, tensor_slice=tensor_slice, dtype=DataType.INT32, count=count)
    assert caught.value.tensor == name
    assert "model" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("values", [NUMBERS, NUMBERS[:0]], ids=["some", "none"])
def test_a_record_is_what_protobuf_writes(values: np.ndarray) -> None:
    record = encode_record("t", ROWS, DataType.INT32, values)
    message = message_class("cloudckpt.v1.SavedTensorSlices").FromString(record)
    assert message.SerializeToString(deterministic=True) == record
    assert message.data.name == b"t"
    assert message.data.HasField("data")


def test_a_record_of_strings_is_what_protobuf_writes() -> None:
    strings = [b"a", b"", b"x" * 300]
    record = encode_record("", (), DataType.STRING, strings)
    message = message_class("cloudckpt.v1.SavedTensorSlices").FromString(record)
    assert message.SerializeToString(deterministic=True) == record
    decoded = decode_record(record, path="p", name="", tensor_slice=(), dtype=DataType.STRING, count=3)
    assert decoded.tolist() == strings


def test_a_record_comes_back() -> None:
    decoded = decode_record(RECORD, path="p", name="t", tensor_slice=ROWS, dtype=DataType.INT32, count=3)
    assert decoded.tolist() == NUMBERS.tolist()


def test_the_record_of_another_tensor_or_slice_is_damage() -> None:
    assert "is of slice ((2, 2), (0, None)) of b't' by what it says itself" in damage(RECORD, name="u")
    assert "by what it says itself" in damage(RECORD, tensor_slice=((2, 2), (0, 3)))


def test_a_record_with_more_or_fewer_elements_is_damage() -> None:
    assert "too few" in damage(RECORD, count=30)
    assert "beyond its last element" in damage(RECORD, count=2)


def test_a_record_that_is_cut_is_damage() -> None:
    for length in range(len(RECORD)):
        damage(RECORD[:length])


def test_the_header_is_no_record() -> None:
    assert "by what it says itself" in damage(bytes.fromhex("0a0412020801"))
