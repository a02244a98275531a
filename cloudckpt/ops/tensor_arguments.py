"""Tensor arguments as TensorFlow's ops take them: arrays, tensors, and what Python has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables import dtypes
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["tensor_list"]

_INT32 = np.iinfo(np.int32)


def tensor_list(value: Any, names: Sequence[str], argument: str) -> list[NDArray[Any]]:
    """The arrays of an argument that is a list of tensors, or an array whose rows they are.

    Args:
        value: each tensor a NumPy array or scalar, anything with `__array__`, or what Python has: numbers become
            float32, int32 (int64 where one needs it), bool or complex128 as TensorFlow makes of them. No array is
            copied, except where it is not in this machine's byte order.
        names: of the tensors, for messages.
        argument: what the caller knows it as.

    Raises:
        TypeError: it is no list, or something in it is no tensor.
    """
    if not isinstance(value, list | tuple) and np.ndim(value) == 0:
        raise TypeError(f"{argument} must be a list of tensors, got {type(value).__name__}")
    arrays = []
    for position, item in enumerate(value):
        name = names[position] if position < len(names) else f"{argument}[{position}]"
        try:
            arrays.append(_array(item))
        except (TypeError, ValueError) as error:
            raise TypeError(f"tensor {name!r} can't be saved: {error}") from error
    return arrays


def _array(value: Any) -> NDArray[Any]:
    declared = getattr(getattr(value, "dtype", None), "as_datatype_enum", None)
    if declared is not None and hasattr(value, "numpy"):
        value = value.numpy()  # TensorFlow's `__array__` makes no array of a scalar of bfloat16 and the like
    if isinstance(value, str | bytes):
        array = np.empty((), object)
        array[()] = value  # NumPy's fixed-width strings would drop null characters at its end
        return array
    array = np.asarray(value) if hasattr(value, "__array__") else _from_python(value)
    if declared is not None:
        array = _as_declared(array, declared)
    if array.dtype.kind == "T":
        return array.astype(object)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _as_declared(array: NDArray[Any], declared: int) -> NDArray[Any]:
    """A TensorFlow tensor in the dtype it says it has: as an array it shows quantised dtypes as plain integers."""
    dtype = dtypes.to_numpy(DataType(declared))
    return array if dtype.kind == "O" else array.view(dtype)


def _from_python(value: Any) -> NDArray[Any]:
    first = _first_leaf(value)
    if isinstance(first, str | bytes):
        return np.array(value, object)
    if not isinstance(value, list | tuple | bool | int | float | complex):
        raise TypeError(f"it is {type(value).__module__}.{type(value).__qualname__}")
    array = np.array(value)
    if array.dtype == object:
        raise TypeError(f"it holds {type(first).__module__}.{type(first).__qualname__}")
    if isinstance(first, np.generic) or hasattr(first, "__array__"):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and _INT32.min <= array.min(initial=0) and array.max(initial=0) <= _INT32.max:
        return array.astype(np.int32)
    return array


def _first_leaf(value: Any) -> Any:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return value
