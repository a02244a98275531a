"""Dtypes as TensorFlow's ops take them: TensorFlow's own, NumPy's, their names, and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtypes import DataType, from_numpy

__all__ = ["data_type_argument"]

_BY_NAME = {name: data_type for data_type in DataType for name in (data_type.name.lower(), DType(data_type).name)}
_REFERENCE = 100
"""What is added to a dtype's number for a reference to a variable of it (core/framework/types.proto)."""


def data_type_argument(value: Any, argument: str) -> DataType:
    """TensorFlow's dtype for what a caller names it by.

    Args:
        value: a `DataType` or its number, a `tf.DType`, a NumPy dtype (in any byte order) or scalar type, a type of
            ml_dtypes, or a name such as "float32", "half" or "string"; Python's float is float32, as TensorFlow's.
        argument: whose it is, for the message.

    Raises:
        TypeError: it is none of these, or TensorFlow has no such dtype.
    """
    number = getattr(value, "as_datatype_enum", value)
    if isinstance(number, int | np.integer) and not isinstance(number, bool):
        return _by_number(int(number), value, argument)
    if isinstance(value, str):
        if value in _BY_NAME:
            return _BY_NAME[value]
        raise _unknown(value, argument)
    if value is None:
        raise _unknown(value, argument)  # NumPy would take it for float64
    return DataType.FLOAT if value is float else _by_numpy(value, argument)


def _by_number(number: int, value: object, argument: str) -> DataType:
    try:
        return DataType(number - _REFERENCE if number > _REFERENCE else number)
    except ValueError:
        raise _unknown(value, argument) from None


def _by_numpy(value: Any, argument: str) -> DataType:
    try:
        dtype = np.dtype(value)
        return DataType.STRING if dtype.kind in "SU" else from_numpy(dtype.newbyteorder("="))
    except TypeError as error:
        raise _unknown(value, argument) from error


def _unknown(value: object, argument: str) -> TypeError:
    return TypeError(f"{argument} must be a dtype that TensorFlow has, such as 'float32', got {value!r}")
