"""Arrays to and from TensorProto."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.tensor_proto import MAX_REPEATED_BYTES, MAX_TENSOR_BYTES, decode_tensor, encode_tensor
from cloudckpt.variables.dtypes import DataType, to_numpy

HELD = [data_type for data_type in DataType if data_type not in {DataType.RESOURCE, DataType.VARIANT}]
NUMBERS = [data_type for data_type in HELD if data_type != DataType.STRING]


def tensor(data_type: int, shape: tuple[int, ...], **fields: Any) -> Any:
    """A message as somebody might have written it."""
    message = message_class("tensorflow.TensorProto")(dtype=data_type, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


def bits_of(data_type: int, count: int) -> Any:
    """An array of other elements each, also such as are no usual numbers."""
    dtype = to_numpy(data_type)
    pattern = np.arange(count * dtype.itemsize, dtype=np.uint8) * 37 + 5
    if data_type == DataType.BOOL:
        pattern %= 2
    narrow = {DataType.INT2: 3, DataType.UINT2: 3, DataType.INT4: 15, DataType.UINT4: 15, DataType.FLOAT4_E2M1FN: 15}
    return (pattern & narrow.get(DataType(data_type), 255)).view(dtype)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0,), (3, 0, 2)], ids=str)
@pytest.mark.parametrize("data_type", NUMBERS, ids=lambda data_type: data_type.name)
def test_every_dtype_and_shape_comes_back_bit_for_bit(data_type: DataType, shape: tuple[int, ...]) -> None:
    array = bits_of(data_type, int(np.prod(shape))).reshape(shape)
    again = decode_tensor(encode_tensor(array))
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("shape", [(1 << 20,), (1 << 20, 1), (3, 1, 4)], ids=str)
@pytest.mark.parametrize("data_type", HELD, ids=lambda data_type: data_type.name)
def test_an_element_that_stands_for_all_is_written_once(data_type: DataType, shape: tuple[int, ...]) -> None:
    element = np.array(b"text", object) if data_type is DataType.STRING else bits_of(data_type, 1).reshape(())
    message = encode_tensor(np.broadcast_to(element, shape))
    assert message.ByteSize() < 100
    again = decode_tensor(message)
    assert (again.dtype, again.shape) == (element.dtype, shape)
    assert not any(again.strides)
    assert again[(0,) * len(shape)] == element or again[(slice(1),) * len(shape)].tobytes() == element.tobytes()


@pytest.mark.parametrize("data_type", NUMBERS, ids=lambda data_type: data_type.name)
def test_a_list_holds_what_the_content_holds(data_type: DataType) -> None:
    array = bits_of(data_type, 4)
    listed = tensor(data_type, (4,))
    for position in range(4):
        scalar = encode_tensor(array[position])
        assert not scalar.tensor_content
        scalar.ClearField("tensor_shape")
        scalar.float8_val = listed.float8_val + scalar.float8_val
        listed.MergeFrom(scalar)
    assert decode_tensor(listed).tobytes() == array.tobytes()


@given(arrays.arrays(np.int16, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_arrays_of_any_layout_are_written_in_c_order(array: Any) -> None:
    assert np.array_equal(decode_tensor(encode_tensor(array.T)), array.T)


@given(st.lists(st.binary(max_size=5), max_size=5))
def test_strings_come_back_as_bytes(strings: list[bytes]) -> None:
    array = np.empty(len(strings), object)
    array[:] = strings
    again = decode_tensor(encode_tensor(array))
    assert again.dtype == object
    assert again.tolist() == strings


def test_text_is_written_as_utf8() -> None:
    assert list(encode_tensor(np.array(["é", "x"])).string_val) == ["é".encode(), b"x"]
    assert list(encode_tensor(np.array(["é", b"x"], object)).string_val) == ["é".encode(), b"x"]


def test_a_scalar_string_is_one_string() -> None:
    message = encode_tensor(np.array("model"))
    assert list(message.string_val) == [b"model"]
    assert not message.tensor_shape.dim
    assert decode_tensor(message).item() == b"model"


def test_an_object_that_is_no_string_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        encode_tensor(np.array([1, "a"], object))


def test_a_dtype_that_tensorflow_lacks_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="datetime64"):
        encode_tensor(np.zeros(1, "datetime64[s]"))


def test_a_scalar_stands_where_people_read_it() -> None:
    assert str(encode_tensor(np.int32(7)[...])).split() == [
        "dtype:",
        "DT_INT32",
        "tensor_shape",
        "{",
        "}",
        "int_val:",
        "7",
    ]


def test_the_last_value_stands_for_those_that_are_missing() -> None:
    message = tensor(DataType.INT32, (2, 3), int_val=[1, 2])
    assert decode_tensor(message).tolist() == [[1, 2, 2], [2, 2, 2]]
    message = tensor(DataType.STRING, (3,), string_val=[b"a", b"b"])
    assert decode_tensor(message).tolist() == [b"a", b"b", b"b"]


@pytest.mark.parametrize("data_type", NUMBERS, ids=lambda data_type: data_type.name)
def test_no_values_are_zeros(data_type: DataType) -> None:
    array = decode_tensor(tensor(data_type, (2, 2)))
    assert array.tobytes() == bytes(4 * to_numpy(data_type).itemsize)
    assert array.dtype == to_numpy(data_type)


def test_no_strings_are_empty_ones() -> None:
    assert decode_tensor(tensor(DataType.STRING, (2,))).tolist() == [b"", b""]
    assert decode_tensor(tensor(DataType.STRING, (2,), string_val=[b"a"])).tolist() == [b"a", b"a"]


def test_strings_in_one_piece_are_read() -> None:
    content = b"\x01\x00\x03" + b"a" + b"" + b"xyz"
    assert decode_tensor(tensor(DataType.STRING, (3,), tensor_content=content)).tolist() == [b"a", b"", b"xyz"]


def test_one_value_for_very_many_takes_no_memory() -> None:
    message = tensor(DataType.FLOAT, (1 << 14, 1 << 15), float_val=[2.5])
    tracemalloc.start()
    array = decode_tensor(message)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert array.nbytes == MAX_TENSOR_BYTES
    assert array[-1, -1] == 2.5


LARGE = MAX_REPEATED_BYTES // 4 + 1
DAMAGED = {
    "no dtype": (tensor(0, (1,)), "DT_|unknown_0"),
    "a resource": (tensor(DataType.RESOURCE, ()), "resource"),
    "a variant": (tensor(DataType.VARIANT, ()), "variant"),
    "a reference": (tensor(101, ()), "unknown_101"),
    "an unknown dimension": (tensor(DataType.INT32, (-1,)), "not fully known"),
    "too little content": (tensor(DataType.INT32, (2,), tensor_content=b"1234567"), "7 bytes where 8"),
    "too much content": (tensor(DataType.INT32, (1,), tensor_content=b"12345678"), "8 bytes where 4"),
    "content of an empty tensor": (tensor(DataType.INT32, (0,), tensor_content=b"1234"), "4 bytes where 0"),
    "too many values": (tensor(DataType.INT32, (1,), int_val=[1, 2]), "2 values, more than elements"),
    "half a complex number": (tensor(DataType.COMPLEX64, (2,), scomplex_val=[1, 2, 3]), "complex64"),
    "too many dimensions": (tensor(DataType.INT32, (1,) * 100, tensor_content=b"1234"), "dimension"),
    "a larger one of one value": (tensor(DataType.FLOAT, (1 << 29, 2), float_val=[2.5]), "1 values, too few"),
    "a large repetition": (tensor(DataType.INT32, (LARGE,), int_val=[1, 2]), "2 values, too few"),
    "a shape beyond all memory": (tensor(DataType.INT8, (1 << 62, 1 << 62), int_val=[1]), "int8 tensor"),
    "strings cut off": (tensor(DataType.STRING, (2,), tensor_content=b"\x01\x05ab"), "6 bytes, of which 2"),
    "fewer strings": (tensor(DataType.STRING, (9,), tensor_content=b"\x01a"), "lengths of 2 strings where 9"),
    "lengths that wrap around": (
        tensor(DataType.STRING, (2,), tensor_content=b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f" * 2 + b"a"),
        "of which 1",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_message_that_is_no_array_is_refused(name: str) -> None:
    message, said = DAMAGED[name]
    tracemalloc.start()
    with pytest.raises(InvalidArgumentError, match=said):
        decode_tensor(message)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_an_unknown_rank_is_refused() -> None:
    message = tensor(DataType.INT32, ())
    message.tensor_shape.unknown_rank = True
    with pytest.raises(InvalidArgumentError, match="not fully known"):
        decode_tensor(message)


def test_an_integer_beyond_its_dtype_loses_its_high_bits_as_in_tensorflow() -> None:
    assert decode_tensor(tensor(DataType.UINT8, (2,), int_val=[-1, 256])).tolist() == [255, 0]
