"""The values of a V1 record: a TensorProto's lists of numbers, which are to and from arrays as a whole.

Integers of every size are varints, negative ones of ten bytes; float16 is its bits as such an integer.

Source: core/util/saved_tensor_slice_util.h.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cloudckpt.bundle.lengths import encode_varints, read_varints
from cloudckpt.variables.dtypes import DataType, python_name, to_numpy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["VALUE_LISTS", "decode_values", "encode_values", "least_bytes", "most_bytes"]

_LONGEST_VARINT = 10
_AT_ONCE = 1 << 18
"""Numbers of a list that are encoded or decoded in one go: each takes some dozens of bytes meanwhile."""


class ValueList(NamedTuple):
    """Where the values of a dtype stand in the message `Values`."""

    field: str
    stored: np.dtype | None
    """What varints stand for; None where the numbers stand as they are, little-endian, or as strings."""


def _varints(field: str, stored: type[np.generic]) -> ValueList:
    return ValueList(field, np.dtype(stored))


VALUE_LISTS: dict[int, ValueList] = {
    DataType.FLOAT: ValueList("float_val", None),
    DataType.DOUBLE: ValueList("double_val", None),
    DataType.COMPLEX64: ValueList("scomplex_val", None),
    DataType.COMPLEX128: ValueList("dcomplex_val", None),
    DataType.STRING: ValueList("string_val", None),
    DataType.BOOL: _varints("bool_val", np.uint8),
    DataType.HALF: _varints("half_val", np.uint16),
    DataType.INT8: _varints("int_val", np.int8),
    DataType.INT16: _varints("int_val", np.int16),
    DataType.INT32: _varints("int_val", np.int32),
    DataType.INT64: _varints("int64_val", np.int64),
    DataType.UINT8: _varints("int_val", np.uint8),
    DataType.UINT16: _varints("int_val", np.uint16),
    DataType.UINT32: _varints("uint32_val", np.uint32),
    DataType.UINT64: _varints("uint64_val", np.uint64),
    DataType.QINT8: _varints("int_val", np.int8),
    DataType.QUINT8: _varints("int_val", np.uint8),
    DataType.QINT32: _varints("int_val", np.int32),
}
"""The dtypes that a V1 checkpoint can hold."""


def least_bytes(dtype: int) -> int:
    """Bytes that each element takes at least in a record."""
    if dtype == DataType.STRING:
        return 2
    return to_numpy(DataType(dtype)).itemsize if VALUE_LISTS[dtype].stored is None else 1


def most_bytes(dtype: int) -> int:
    """Bytes that each element of a dtype other than STRING may take, as TensorFlow reckons them."""
    stored = VALUE_LISTS[dtype].stored
    if stored is None or dtype == DataType.BOOL:
        return least_bytes(dtype)
    return _LONGEST_VARINT if stored.kind == "i" else -(-8 * stored.itemsize // 7)


def encode_values(array: NDArray[Any], dtype: DataType) -> bytes:
    """The list of an array's elements in C order, for all dtypes but STRING, whose elements stand one by one."""
    stored = VALUE_LISTS[dtype].stored
    if stored is None:
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    numbers = np.ascontiguousarray(array).reshape(-1).view(stored)
    wide = np.int64 if stored.kind == "i" else np.uint64
    runs = (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))
    return b"".join([encode_varints(run.astype(wide).view(np.uint64)) for run in runs])


def decode_values(values: Any, dtype: DataType, count: int) -> NDArray[Any]:
    """The array of `count` elements that a `Values` message holds for this dtype, of one dimension, maybe read-only.

    Raises:
        ValueError: they are more or fewer, or don't fit the dtype; the message says what was found.
    """
    field, stored = VALUE_LISTS[dtype]
    runs: Sequence[bytes] = getattr(values, field)
    if dtype == DataType.STRING:
        return _strings(runs, count)
    data = runs[0] if len(runs) == 1 else b"".join(runs)
    final = to_numpy(dtype)
    if stored is None:
        if len(data) != count * final.itemsize:
            raise ValueError(f"has {len(data)} bytes of values where {count * final.itemsize} are expected")
        array = np.frombuffer(data, final.newbyteorder("<"))
        return array if sys.byteorder == "little" else array.astype(final)
    if len(data) < count:
        raise ValueError(f"has {len(data)} bytes of values, too few for {count} elements")
    numbers = np.empty(count, stored)
    done = 0
    for run in _runs(memoryview(data), count):
        numbers[done : done + len(run)] = _narrowed(run, dtype, stored)
        done += len(run)
    return numbers.view(final)


def _strings(runs: Sequence[bytes], count: int) -> NDArray[Any]:
    if len(runs) != count:
        raise ValueError(f"has {len(runs)} strings where {count} are expected")
    strings = np.empty(count, object)
    strings[:] = list(runs)
    return strings


def _runs(data: memoryview, count: int) -> Iterator[NDArray[np.uint64]]:
    """The varints of a list, some at a time."""
    while count:
        try:
            numbers, position = read_varints(data, min(count, _AT_ONCE), longest=_LONGEST_VARINT)
        except ValueError:
            numbers, position = np.empty(0, np.uint64), 0
        if not position:
            raise ValueError(f"has values that can't be read, {count} of its elements before the end")
        yield numbers
        count -= len(numbers)
        data = data[position:]
    if data:
        raise ValueError(f"has {len(data)} bytes of values beyond its last element")


def _narrowed(numbers: NDArray[np.uint64], dtype: DataType, stored: np.dtype) -> NDArray[Any]:
    wide: NDArray[Any] = numbers
    if dtype == DataType.BOOL:
        wide = numbers != 0
    elif stored.kind == "i":
        wide = numbers.view(np.int64)
    narrow: NDArray[Any] = wide.astype(stored)
    if not np.array_equal(narrow, wide):
        raise ValueError(f"has a value that is no {python_name(dtype)}")
    return narrow
