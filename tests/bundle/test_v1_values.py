"""Lists of numbers in V1 records, against protobuf's own packed lists; and lists that lie."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle import v1_values
from cloudckpt.bundle.v1_values import VALUE_LISTS, decode_values, encode_values, least_bytes, most_bytes
from cloudckpt.descriptors import message_class
from cloudckpt.variables.dtypes import DataType, to_numpy

INT64 = np.iinfo(np.int64)


def values(field: str, *runs: bytes) -> object:
    message = message_class("cloudckpt.v1.Values")()
    getattr(message, field).extend(runs)
    return message


def protobuf_list(numbers: list[int], kind: str) -> bytes:
    """A packed list as protobuf itself writes it, without the field's tag and length."""
    file = FileDescriptorProto(name="list.proto", package="test", syntax="proto3")
    field = file.message_type.add(name="List").field.add(name="numbers", number=1)
    field.type, field.label = getattr(field, f"TYPE_{kind.upper()}"), field.LABEL_REPEATED
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    message = GetMessageClass(pool.FindMessageTypeByName("test.List"))(numbers=numbers)
    packed = message.SerializeToString()
    start = 1 + next(position for position in range(1, len(packed)) if packed[position] < 0x80)
    return packed[start:]


@given(st.lists(st.integers(INT64.min, INT64.max), min_size=1, max_size=30))
def test_integers_are_encoded_as_protobuf_encodes_them(numbers: list[int]) -> None:
    encoded = encode_values(np.array(numbers, np.int64), DataType.INT64)
    assert encoded == protobuf_list(numbers, "int64")
    assert decode_values(values("int64_val", encoded), DataType.INT64, len(numbers)).tolist() == numbers


@pytest.mark.parametrize("data_type", [each for each in VALUE_LISTS if each != DataType.STRING])
def test_extremes_of_every_dtype_come_back(data_type: DataType) -> None:
    dtype = to_numpy(data_type)
    integers = dtype[0] if dtype.names else dtype
    if integers.kind in "iu":
        array = np.array([np.iinfo(integers).min, 0, np.iinfo(integers).max], integers).view(dtype)
    else:
        array = np.array([-1.5, 0, 2]).astype(dtype)
    encoded = encode_values(array, data_type)
    decoded = decode_values(values(VALUE_LISTS[data_type].field, encoded), data_type, 3)
    assert decoded.dtype == dtype
    assert decoded.tobytes() == array.tobytes()
    assert 3 * least_bytes(data_type) <= len(encoded) <= 3 * most_bytes(data_type)


def test_long_lists_go_through_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v1_values, "_AT_ONCE", 7)
    array = np.arange(-50, 50, dtype=np.int32) * 10**7
    encoded = encode_values(array, DataType.INT32)
    assert encoded == protobuf_list(array.tolist(), "int32")
    assert decode_values(values("int_val", encoded), DataType.INT32, 100).tolist() == array.tolist()


def test_a_list_in_several_runs_is_one_list() -> None:
    """Protobuf lets a packed list stand in several places, whose numbers follow one another."""
    assert decode_values(values("int_val", b"\x01", b"\x02\x03"), DataType.INT32, 3).tolist() == [1, 2, 3]
    floats = np.array([1, 2, 3], "<f4").tobytes()
    assert decode_values(values("float_val", floats[:4], floats[4:]), DataType.FLOAT, 3).tolist() == [1, 2, 3]


def test_arrays_in_any_memory_order_and_byte_order() -> None:
    matrix = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert encode_values(matrix.T, DataType.INT16) == bytes([0, 3, 1, 4, 2, 5])
    assert encode_values(np.array(1.0), DataType.DOUBLE) == np.array(1, "<f8").tobytes()


@pytest.mark.parametrize("number", [b"\xff\x01", b"\x80\x80\x80\x80\x10", b"\xff" * 9 + b"\x01"])
def test_a_bool_is_true_unless_it_is_zero(number: bytes) -> None:
    assert decode_values(values("bool_val", b"\0" + number), DataType.BOOL, 2).tolist() == [False, True]


@pytest.mark.parametrize(
    ("data_type", "runs", "count", "found"),
    [
        (DataType.FLOAT, [b"1234"], 2, "has 4 bytes of values where 8 are expected"),
        (DataType.FLOAT, [b"12345678"], 1, "has 8 bytes of values where 4 are expected"),
        (DataType.FLOAT, [], 1, "has 0 bytes of values where 4 are expected"),
        (DataType.COMPLEX64, [b"1234"], 1, "has 4 bytes of values where 8 are expected"),
        (DataType.STRING, [b"a"], 2, "has 1 strings where 2 are expected"),
        (DataType.INT32, [b"\x01"], 2, "too few for 2 elements"),
        (DataType.INT32, [b"\x01\x02"], 1, "has 1 bytes of values beyond its last element"),
        (DataType.INT32, [b"\x01\x80"], 2, "has values that can't be read, 1 of its elements before the end"),
        (DataType.INT64, [b"\xff" * 11], 1, "can't be read"),
        (DataType.INT32, [b"\x80\x80\x80\x80\x10"], 1, "has a value that is no int32"),
        (DataType.INT8, [b"\x80\x01"], 1, "has a value that is no int8"),
        (DataType.UINT8, [b"\xff" * 9 + b"\x01"], 1, "has a value that is no uint8"),
        (DataType.HALF, [b"\x80\x80\x04"], 1, "has a value that is no float16"),
        (DataType.QUINT8, [b"\x80\x02"], 1, "has a value that is no quint8"),
        (DataType.INT64, [], 2**62, "too few"),
        (DataType.STRING, [], 2**62, "has 0 strings"),
    ],
)
def test_values_that_are_not_what_the_shape_says(
    data_type: DataType, runs: list[bytes], count: int, found: str
) -> None:
    with pytest.raises(ValueError, match=found):
        decode_values(values(VALUE_LISTS[data_type].field, *runs), data_type, count)


@pytest.mark.parametrize("tag_and_value", [b"\x38\x01", b"\x3a\x00\x38\x01"], ids=["alone", "beside a packed one"])
def test_a_list_that_is_not_packed_is_missed_when_it_is_counted(tag_and_value: bytes) -> None:
    message = message_class("cloudckpt.v1.Values").FromString(tag_and_value)
    with pytest.raises(ValueError, match="too few for 1 elements"):
        decode_values(message, DataType.INT32, 1)


def test_dtypes_that_v1_has_not() -> None:
    assert DataType.BFLOAT16 not in VALUE_LISTS
    assert np.dtype(ml_dtypes.bfloat16) == to_numpy(DataType.BFLOAT16)
    assert DataType.VARIANT not in VALUE_LISTS
