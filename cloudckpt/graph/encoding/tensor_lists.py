"""The lists of a TensorProto, one for each family of dtypes, in which its elements may stand one by one.

Source: core/framework/tensor.cc, ProtoHelper; python/framework/tensor_util.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cloudckpt.variables.dtypes import DataType, to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["extend_list", "list_values"]


class _ValueList(NamedTuple):
    """Where the elements of a dtype stand, and as what."""

    field: str
    numbers: np.dtype
    """of the list"""
    stored: np.dtype
    """of the elements' memory, by which they become those numbers: their bits, or their real and imaginary parts"""


def _value_list(field: str, numbers: type[np.generic], stored: np.dtype | type[np.generic]) -> _ValueList:
    return _ValueList(field, np.dtype(numbers), np.dtype(stored))


_INTEGERS = (DataType.INT8, DataType.INT16, DataType.INT32, DataType.UINT8, DataType.UINT16)
_QUANTISED = (DataType.QINT8, DataType.QINT16, DataType.QINT32, DataType.QUINT8, DataType.QUINT16)
_SMALL_INTEGERS = (DataType.INT2, DataType.INT4, DataType.UINT2, DataType.UINT4)
_SMALL_FLOATS = tuple(dtype for dtype in DataType if dtype.name.startswith(("FLOAT8_", "FLOAT4_")))

_LISTS: dict[int, _ValueList] = {
    DataType.FLOAT: _value_list("float_val", np.float32, np.float32),
    DataType.DOUBLE: _value_list("double_val", np.float64, np.float64),
    DataType.COMPLEX64: _value_list("scomplex_val", np.float32, np.float32),
    DataType.COMPLEX128: _value_list("dcomplex_val", np.float64, np.float64),
    DataType.HALF: _value_list("half_val", np.int32, np.uint16),
    DataType.BFLOAT16: _value_list("half_val", np.int32, np.uint16),
    DataType.BOOL: _value_list("bool_val", np.bool_, np.bool_),
    DataType.INT64: _value_list("int64_val", np.int64, np.int64),
    DataType.UINT32: _value_list("uint32_val", np.uint32, np.uint32),
    DataType.UINT64: _value_list("uint64_val", np.uint64, np.uint64),
    **{dtype: _value_list("int_val", np.int32, to_numpy(dtype)) for dtype in _INTEGERS + _SMALL_INTEGERS},
    **{dtype: _value_list("int_val", np.int32, to_numpy(dtype)[0]) for dtype in _QUANTISED},
    **{dtype: _value_list("float8_val", np.uint8, np.uint8) for dtype in _SMALL_FLOATS},
}


def extend_list(message: Any, data_type: int, elements: NDArray[Any]) -> None:
    """Append elements, an array of one dimension, to the list that is for their dtype, which is not STRING."""
    field, numbers, stored = _LISTS[data_type]
    listed = elements.view(stored).astype(numbers)
    if field == "float8_val":
        message.float8_val += listed.tobytes()
    else:
        getattr(message, field).extend(listed.tolist())


def list_values(message: Any, data_type: int) -> NDArray[Any]:
    """The elements in the list that is for a dtype, of one dimension; a number that is too large loses its high bits.

    Raises:
        ValueError: a list of complex numbers ends within one.
    """
    if data_type == DataType.STRING:
        strings = np.empty(len(message.string_val), object)
        strings[:] = list(message.string_val)
        return strings
    field, numbers, stored = _LISTS[data_type]
    values = getattr(message, field)
    listed = np.frombuffer(values, np.uint8) if field == "float8_val" else np.array(values, numbers)
    return listed.astype(stored, copy=False).view(to_numpy(data_type))
