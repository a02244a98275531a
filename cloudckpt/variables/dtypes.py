"""TensorFlow's dtypes and NumPy's, one to one."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DataType", "data_type", "data_type_of", "from_numpy", "python_name", "to_numpy"]


class DataType(IntEnum):
    """TensorFlow's dtypes by its names without "DT_", and its numbers (core/framework/types.proto).

    Those of at most one byte, int2 and float4 among them, take one byte an element in memory and in files.
    """

    FLOAT = 1
    DOUBLE = 2
    INT32 = 3
    UINT8 = 4
    INT16 = 5
    INT8 = 6
    STRING = 7
    COMPLEX64 = 8
    INT64 = 9
    BOOL = 10
    QINT8 = 11
    QUINT8 = 12
    QINT32 = 13
    BFLOAT16 = 14
    QINT16 = 15
    QUINT16 = 16
    UINT16 = 17
    COMPLEX128 = 18
    HALF = 19
    RESOURCE = 20
    VARIANT = 21
    UINT32 = 22
    UINT64 = 23
    FLOAT8_E5M2 = 24
    FLOAT8_E4M3FN = 25
    FLOAT8_E4M3FNUZ = 26
    FLOAT8_E4M3B11FNUZ = 27
    FLOAT8_E5M2FNUZ = 28
    INT4 = 29
    UINT4 = 30
    INT2 = 31
    UINT2 = 32
    FLOAT4_E2M1FN = 33


_TO_NUMPY: dict[int, np.dtype] = {
    DataType.FLOAT: np.dtype(np.float32),
    DataType.DOUBLE: np.dtype(np.float64),
    DataType.INT32: np.dtype(np.int32),
    DataType.UINT8: np.dtype(np.uint8),
    DataType.INT16: np.dtype(np.int16),
    DataType.INT8: np.dtype(np.int8),
    DataType.STRING: np.dtype(object),
    DataType.COMPLEX64: np.dtype(np.complex64),
    DataType.INT64: np.dtype(np.int64),
    DataType.BOOL: np.dtype(np.bool_),
    # The quantised ones as TensorFlow's Python shows them: an integer in a structure that names it.
    DataType.QINT8: np.dtype([("qint8", np.int8)]),
    DataType.QUINT8: np.dtype([("quint8", np.uint8)]),
    DataType.QINT32: np.dtype([("qint32", np.int32)]),
    DataType.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
    DataType.QINT16: np.dtype([("qint16", np.int16)]),
    DataType.QUINT16: np.dtype([("quint16", np.uint16)]),
    DataType.UINT16: np.dtype(np.uint16),
    DataType.COMPLEX128: np.dtype(np.complex128),
    DataType.HALF: np.dtype(np.float16),
    DataType.UINT32: np.dtype(np.uint32),
    DataType.UINT64: np.dtype(np.uint64),
    DataType.FLOAT8_E5M2: np.dtype(ml_dtypes.float8_e5m2),
    DataType.FLOAT8_E4M3FN: np.dtype(ml_dtypes.float8_e4m3fn),
    DataType.FLOAT8_E4M3FNUZ: np.dtype(ml_dtypes.float8_e4m3fnuz),
    DataType.FLOAT8_E4M3B11FNUZ: np.dtype(ml_dtypes.float8_e4m3b11fnuz),
    DataType.FLOAT8_E5M2FNUZ: np.dtype(ml_dtypes.float8_e5m2fnuz),
    DataType.INT4: np.dtype(ml_dtypes.int4),
    DataType.UINT4: np.dtype(ml_dtypes.uint4),
    DataType.INT2: np.dtype(ml_dtypes.int2),
    DataType.UINT2: np.dtype(ml_dtypes.uint2),
    DataType.FLOAT4_E2M1FN: np.dtype(ml_dtypes.float4_e2m1fn),
}
_BY_NUMBER: dict[int, int] = {int(member): member for member in DataType}
_FROM_NUMPY = {dtype: DataType(number) for number, dtype in _TO_NUMPY.items()}
_PYTHON_NAMES: dict[int, str] = {
    **{data_type: data_type.name.lower() for data_type in DataType},
    DataType.FLOAT: "float32",
    DataType.DOUBLE: "float64",
    DataType.HALF: "float16",
}


def data_type(number: int) -> int:
    """The `DataType` of a number; the number itself where TensorFlow has added one since this version was made."""
    return _BY_NUMBER.get(number, number)


def data_type_of(array: NDArray[Any]) -> DataType:
    """TensorFlow's dtype for an array; STRING for text, bytes and objects, whose elements are the caller's to check.

    Raises:
        TypeError: as `from_numpy`.
    """
    return DataType.STRING if array.dtype.kind in "OSU" else from_numpy(array.dtype)


def from_numpy(dtype: np.dtype) -> DataType:
    """TensorFlow's dtype for NumPy's; STRING for object, whose elements are the caller's to check.

    Raises:
        TypeError: TensorFlow has no such dtype, or its byte order is not this machine's.
    """
    try:
        return _FROM_NUMPY[dtype]
    except KeyError:
        pass
    if not dtype.isnative and dtype.newbyteorder("=") in _FROM_NUMPY:
        raise TypeError(
            f"dtype {dtype} is not in this machine's byte order: convert it, "
            f'for instance with array.astype(array.dtype.newbyteorder("="))'
        )
    raise TypeError(f"dtype {dtype} has no counterpart in TensorFlow, so a checkpoint can't hold it")


def to_numpy(data_type: int) -> np.dtype:
    """NumPy's dtype for TensorFlow's; object for STRING.

    Raises:
        TypeError: RESOURCE and VARIANT are handles and C++ objects, which no array can hold; or the number is of a
            dtype that TensorFlow has added since this version was made.
    """
    try:
        return _TO_NUMPY[data_type]
    except KeyError:
        raise TypeError(f"TensorFlow's dtype {python_name(data_type)} has no counterpart in NumPy") from None


def python_name(data_type: int) -> str:
    """What TensorFlow's Python calls a dtype, such as "float32"; "unknown_77" for a number that has no name here."""
    return _PYTHON_NAMES.get(data_type, f"unknown_{data_type}")
