"""TensorFlow's dtypes and NumPy's, one to one."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.variables.dtypes import DataType, data_type, data_type_of, from_numpy, python_name, to_numpy

HANDLES = (DataType.RESOURCE, DataType.VARIANT)


def test_names_and_numbers_are_those_of_the_proto() -> None:
    field = message_class("tensorflow.BundleEntryProto").DESCRIPTOR.fields_by_name["dtype"]
    numbers = {value.name: value.number for value in field.enum_type.values}
    plain = {name: number for name, number in numbers.items() if name != "DT_INVALID" and not name.endswith("_REF")}
    assert plain == {f"DT_{data_type.name}": int(data_type) for data_type in DataType}
    assert all(numbers[f"{name}_REF"] == number + 100 for name, number in plain.items())


@pytest.mark.parametrize("data_type", [data_type for data_type in DataType if data_type not in HANDLES])
def test_from_numpy_undoes_to_numpy(data_type: DataType) -> None:
    assert from_numpy(to_numpy(data_type)) is data_type


@pytest.mark.parametrize("data_type", HANDLES)
def test_handles_are_no_arrays(data_type: DataType) -> None:
    with pytest.raises(TypeError, match=python_name(data_type)):
        to_numpy(data_type)


def test_numbers_of_the_future_have_a_name_and_no_array() -> None:
    assert python_name(77) == "unknown_77"
    with pytest.raises(TypeError, match="unknown_77"):
        to_numpy(77)


@pytest.mark.parametrize(
    ("data_type", "name"),
    [(DataType.FLOAT, "float32"), (DataType.DOUBLE, "float64"), (DataType.HALF, "float16"), (DataType.BOOL, "bool")],
)
def test_names_in_python(data_type: DataType, name: str) -> None:
    assert python_name(data_type) == name


def test_a_number_is_a_dtype_if_it_is_known() -> None:
    assert isinstance(data_type(3), DataType)
    assert data_type(3) == DataType.INT32
    assert not isinstance(data_type(77), DataType)
    assert data_type(77) == 77


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([b"a"]), np.array(["a", b"b"], object)])
def test_texts_of_every_kind_are_strings(array: np.ndarray) -> None:
    assert data_type_of(array) is DataType.STRING
    assert data_type_of(np.zeros(2)) is DataType.DOUBLE


@pytest.mark.parametrize(("code", "expected"), [("q", DataType.INT64), ("l", DataType.INT64), ("e", DataType.HALF)])
def test_c_names_of_the_same_dtype_are_known(code: str, expected: DataType) -> None:
    assert from_numpy(np.dtype(code)) is expected


def test_small_dtypes_take_a_byte_an_element() -> None:
    for dtype in (ml_dtypes.int2, ml_dtypes.uint4, ml_dtypes.float4_e2m1fn, ml_dtypes.float8_e5m2):
        assert to_numpy(from_numpy(np.dtype(dtype))).itemsize == 1


@pytest.mark.parametrize("dtype", [">f4", ">c16", [("qint32", ">i4")]])
def test_another_byte_order_says_how_to_convert(dtype: str) -> None:
    with pytest.raises(TypeError, match="byte order: convert it"):
        from_numpy(np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["M8[s]", "U3", "S2", "g", "V4", [("a", "i4")], [("qint8", "u1")]])
def test_what_tensorflow_does_not_have_is_a_type_error(dtype: str) -> None:
    with pytest.raises(TypeError, match="no counterpart"):
        from_numpy(np.dtype(dtype))
