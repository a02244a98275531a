"""A tensor's value inside of a graph: TensorProto to and from NumPy arrays.

A message holds its elements as they lie in memory, or in the one list that is for their dtype. A list may be shorter
than the tensor: its last value then stands for all that are missing, and an empty one for zeros or empty strings.

Sources: core/framework/tensor.proto; core/framework/tensor.cc, Tensor::FromProto.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.lengths import read_varints
from cloudckpt.checkpoint.string_source import encode_string
from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.tensor_lists import extend_list, list_values
from cloudckpt.graph.encoding.tensor_shape import decode_shape, encode_shape
from cloudckpt.variables.dtypes import DataType, data_type_of, python_name, to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_REPEATED_BYTES", "MAX_TENSOR_BYTES", "decode_tensor", "encode_tensor", "set_tensor"]

MAX_REPEATED_BYTES = 1 << 28
"""Of an array whose message names several values and leaves the rest to the last of them."""
MAX_TENSOR_BYTES = 1 << 31
"""Of an array whose message names one value for all elements: those of any other one are in it, and so no larger."""


def encode_tensor(array: NDArray[Any]) -> Any:
    """The TensorProto of an array, with the same bits. One copy of the elements.

    Of an array in which one element stands for all (its strides are 0) the message has that one alone.

    Raises:
        TypeError: TensorFlow has no such dtype; or an element of an array of objects is neither str nor bytes.
    """
    message = message_class("tensorflow.TensorProto")()
    set_tensor(message, array)
    return message


def set_tensor(message: Any, array: NDArray[Any]) -> None:
    """As `encode_tensor`, into a message that is empty so far."""
    message.dtype = data_type = data_type_of(array)
    encode_shape(message.tensor_shape, array.shape)
    is_repeated = array.size > 1 and not any(array.strides)
    elements = np.ascontiguousarray(array[(slice(1),) * array.ndim] if is_repeated else array).reshape(-1)
    if data_type == DataType.STRING:
        message.string_val.extend([encode_string(element) for element in elements.tolist()])
    elif elements.size > 1 and sys.byteorder == "little":
        message.tensor_content = elements.tobytes()
    else:
        extend_list(message, data_type, elements)


def decode_tensor(message: Any) -> NDArray[Any]:
    """The array that a TensorProto holds: not to be written to, because it may be a view of the message's own bytes.

    A message that names one value for all elements becomes a view of that one. Strings are bytes, in an array of
    objects.

    Raises:
        InvalidArgumentError: it is no tensor's, or no array can be: its shape is not known, or larger than its values
            allow; they don't fit its dtype; they are handles or C++ objects; or it names too few for so large an
            array: more than `MAX_REPEATED_BYTES`, or with one value alone `MAX_TENSOR_BYTES`.
    """
    final = _numpy_dtype(message.dtype)
    shape = _known_shape(message.tensor_shape)
    try:
        if message.tensor_content:
            return _content(message.tensor_content, message.dtype, prod(shape)).reshape(shape)
        return _fill(list_values(message, message.dtype), shape, final)
    except (ValueError, OverflowError) as error:
        raise InvalidArgumentError(
            f"a {python_name(message.dtype)} tensor of shape {list(shape)} can't be read from its message: {error}"
        ) from error


def _numpy_dtype(data_type: int) -> np.dtype:
    try:
        return to_numpy(data_type)
    except TypeError as error:
        raise InvalidArgumentError(f"a tensor in a graph can't be read as an array: {error}") from None


def _known_shape(message: Any) -> tuple[int, ...]:
    shape = decode_shape(message)
    if not isinstance(shape, tuple) or None in shape:
        raise InvalidArgumentError("a tensor in a graph has values, and a shape that is not fully known")
    return shape  # type: ignore[return-value]  # no dimension is None


def _content(content: bytes, data_type: int, count: int) -> NDArray[Any]:
    if data_type == DataType.STRING:
        return _strings(content, count)
    final = to_numpy(data_type)
    if len(content) != count * final.itemsize:
        raise ValueError(f"it has {len(content)} bytes where {count * final.itemsize} are expected")
    array = np.frombuffer(content, final.newbyteorder("<"))
    return array if sys.byteorder == "little" else array.astype(final)


def _strings(content: bytes, count: int) -> NDArray[Any]:
    """The strings that C++ writes in one piece: their lengths as varints, then their bytes."""
    lengths, start = read_varints(content, min(count, len(content)))
    if len(lengths) != count:
        raise ValueError(f"it has the lengths of {len(lengths)} strings where {count} are expected")
    # As Python's integers: a sum of hostile lengths must not wrap around.
    ends = [start]
    for length in lengths.tolist():
        ends.append(ends[-1] + length)
    if ends[-1] != len(content):
        raise ValueError(f"its strings have {ends[-1] - start} bytes, of which {len(content) - start} are there")
    strings = np.empty(count, object)
    strings[:] = [content[first:last] for first, last in pairwise(ends)]
    return strings


def _fill(values: NDArray[Any], shape: tuple[int, ...], final: np.dtype) -> NDArray[Any]:
    count = prod(shape)
    if len(values) == count:
        return values.reshape(shape)
    if len(values) > count:
        raise ValueError(f"it has {len(values)} values, more than elements")
    if not len(values):
        values = np.full(1, b"", object) if final.kind == "O" else np.zeros(1, final)
    if count * final.itemsize > (MAX_TENSOR_BYTES if len(values) == 1 else MAX_REPEATED_BYTES):
        raise ValueError(f"it has {len(values)} values, too few for {count} elements: the last would be repeated")
    if len(values) == 1:
        return np.broadcast_to(values.reshape(()), shape)
    filled = np.empty(count, final)
    filled[: len(values)] = values
    filled[len(values) :] = values[-1]
    return filled.reshape(shape)
