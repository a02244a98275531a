"""Dtypes with the attributes of TensorFlow's; tests/tensorflow compares them with the real ones."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtypes import DataType


@pytest.mark.parametrize(
    ("data_type", "name", "numpy_dtype"),
    [
        (DataType.FLOAT, "float32", np.float32),
        (DataType.DOUBLE, "float64", np.float64),
        (DataType.HALF, "float16", np.float16),
        (DataType.BOOL, "bool", np.bool_),
        (DataType.STRING, "string", object),
        (DataType.BFLOAT16, "bfloat16", ml_dtypes.bfloat16),
        (DataType.QINT8, "qint8", np.dtype([("qint8", np.int8)])),
    ],
)
def test_names_and_numpy_types(data_type: DataType, name: str, numpy_dtype: object) -> None:
    dtype = DType(data_type)
    assert dtype.name == name
    assert dtype.as_numpy_dtype == numpy_dtype
    assert dtype.as_datatype_enum is data_type
    assert dtype.size == np.dtype(dtype.as_numpy_dtype).itemsize
    assert repr(dtype) == f"cloudckpt.{name}"


def test_it_equals_whatever_names_the_same() -> None:
    dtype = DType(DataType.FLOAT)
    for same in (DType(1), 1, DataType.FLOAT, "float32", np.float32, np.dtype(np.float32)):
        assert dtype == same
    for other in (DType(2), 2, "float64", "", np.float64, None, object, b"float32"):
        assert dtype != other
    assert hash(dtype) == hash(DType(1))
    assert {dtype: "x"}[DType(1)] == "x"


@pytest.mark.parametrize("number", [DataType.RESOURCE, DataType.VARIANT, 77])
def test_what_no_array_can_hold_has_no_numpy_type(number: int) -> None:
    dtype = DType(number)
    assert dtype != np.float32
    for attribute in ("as_numpy_dtype", "size"):
        with pytest.raises(TypeError, match=dtype.name):
            getattr(dtype, attribute)


def test_a_number_of_the_future_has_a_name() -> None:
    assert DType(77).name == "unknown_77"
    assert DType(77) == 77


def test_a_reference_to_it_is_not_told_apart() -> None:
    dtype = DType(DataType.FLOAT)
    assert dtype.base_dtype is dtype
