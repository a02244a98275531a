"""What Python has for tensors, as arrays of the dtypes that TensorFlow makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cloudckpt.variables import dtypes
from cloudckpt.variables.dtypes import DataType, python_name
from cloudckpt.variables.foreign.tensorflow import tensor_elements
from cloudckpt.variables.foreign.torch import torch_holder
from cloudckpt.variables.own_value import OwnValue, sealed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_array", "as_string_array", "converted", "sealed_copy"]

_INT32: Final = np.iinfo(np.int32)
_SMALL_INTEGERS: Final = {DataType.INT4, DataType.UINT4, DataType.INT2, DataType.UINT2}
"""Whose NumPy dtypes don't say that they are integers."""


def as_array(value: Any) -> NDArray[Any]:
    """A value as an array that has a counterpart among TensorFlow's dtypes, if its own dtype has one.

    An array is not copied, except where it is not in this machine's byte order. Python's numbers become float32,
    int32 (int64 where one needs it), bool or complex128; texts and bytes an array of objects.

    Raises:
        TypeError: it is no array, no number or string, nor a list of these; or as `torch_holder`.
        ValueError: it is a list whose rows differ in length.
    """
    if isinstance(value, OwnValue):
        return value.own_value
    if (holder := torch_holder(value)) is not None:
        return holder.read()
    if hasattr(value, "__array__") and hasattr(getattr(value, "dtype", None), "as_datatype_enum"):
        return tensor_elements(value)
    if isinstance(value, str | bytes):
        array = np.empty((), object)
        array[()] = value  # NumPy's fixed-width strings would drop null characters at its end
        return array
    array = np.asarray(value) if hasattr(value, "__array__") else _from_python(value)
    if array.dtype.kind == "T":
        return array.astype(object)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def converted(value: Any, data_type: DataType | None = None) -> NDArray[Any]:
    """A value as an array of a dtype, as TensorFlow's variables convert what they are made of and assigned.

    Args:
        value: as `as_array`.
        data_type: an array of another dtype is cast to it, as is a Python number of no broader kind (an integer for a
            real number, not the other way round), of which it keeps the lowest bits if it has no room for more, as
            TensorFlow does; None for the dtype that it has by itself.

    Returns:
        The array itself where it is of that dtype already; strings as objects that are all bytes.

    Raises:
        TypeError: as `as_array`; or it is of no dtype of TensorFlow's, or can't stand for one of this dtype.
        ValueError: as `as_array`.
    """
    array = as_array(value)
    found = dtypes.data_type_of(array)
    if found is DataType.STRING and data_type in (None, DataType.STRING):
        return as_string_array(array)
    if data_type is None or found is data_type:
        return array
    if DataType.STRING in (found, data_type):
        raise _misfit(value, found, data_type)
    if not hasattr(value, "__array__"):
        if array.size and _breadth(found) > _breadth(data_type):
            raise _misfit(value, found, data_type)
        array = np.asarray(value)  # of full width again
    dtype = dtypes.to_numpy(data_type)
    return array.astype(dtype[0], order="C").view(dtype) if dtype.names else array.astype(dtype, order="C")


def _misfit(value: object, found: DataType, data_type: DataType) -> TypeError:
    return TypeError(f"expected {python_name(data_type)}, found {python_name(found)}: {_shown(value)}")


def sealed_copy(value: Any, data_type: DataType | None = None) -> NDArray[Any]:
    """A value as an array that the caller's later changes don't reach, and that nobody can write to; copied once.

    Raises:
        TypeError, ValueError: as `converted`.
    """
    array = converted(value, data_type)
    return sealed(array.copy(order="C") if _may_be_changed(array, value) else array)


def _may_be_changed(array: NDArray[Any], value: Any) -> bool:
    """Whether an array that a value became may be the caller's memory."""
    if isinstance(value, OwnValue) or not hasattr(value, "__array__"):
        return False
    return not isinstance(value, np.ndarray) or np.may_share_memory(array, value)


def as_string_array(array: NDArray[Any]) -> NDArray[Any]:
    """An array of texts, bytes or objects as one of objects that are all bytes: itself if it is that already.

    Raises:
        TypeError: an element is neither text nor bytes.
    """
    if array.dtype == object and all(type(element) is bytes for element in array.flat):
        return array
    elements = np.empty(array.shape, object)
    elements.reshape(-1)[:] = [_bytes(element) for element in array.ravel().tolist()]
    return elements


def _bytes(element: object) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    raise TypeError(f"a tensor of strings holds text or bytes, not {type(element).__name__}: {_shown(element)}")


def _breadth(data_type: DataType) -> int:
    """How much a dtype can stand for: a bool for any number, an integer for a real number, that for a complex one."""
    dtype = dtypes.to_numpy(data_type)
    if data_type is DataType.BOOL:
        return 0
    if dtype.kind == "c":
        return 3
    return 1 if dtype.kind in "iu" or dtype.names or data_type in _SMALL_INTEGERS else 2


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _from_python(value: Any) -> NDArray[Any]:
    first = _first_leaf(value)
    if isinstance(first, str | bytes):
        return np.array(value, object)
    if not isinstance(value, list | tuple | range | bool | int | float | complex):
        raise TypeError(f"a tensor is made of an array, numbers or texts, not of {_kind(value)}: {_shown(value)}")
    array = np.array(value)
    if array.dtype.kind in "OSU":
        raise TypeError(f"a tensor of numbers can't hold all of {_shown(value)}, which begins with {_kind(first)}")
    if hasattr(first, "__array__") and not isinstance(first, np.integer):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and _INT32.min <= array.min(initial=0) and array.max(initial=0) <= _INT32.max:
        return array.astype(np.int32)
    return array


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _first_leaf(value: Any) -> Any:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return value
