"""All records of a V1 file but the first: one slice of one tensor each, under the slice's key.

Source: core/util/saved_tensor_slice.proto and core/util/tensor_slice_writer.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from cloudckpt.bundle.slice_proto import decode_slice, encode_slice
from cloudckpt.bundle.tensor_names import encode_name
from cloudckpt.bundle.v1_values import VALUE_LISTS, decode_values, encode_values
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["decode_record", "encode_record"]

_LENGTH_DELIMITED = 2


def encode_record(
    name: str, tensor_slice: TensorSlice, dtype: DataType, values: NDArray[Any] | Sequence[bytes]
) -> bytes:
    """The bytes that TensorFlow would write; the values are copied twice on the way.

    Args:
        name: the tensor's.
        tensor_slice: the slice.
        dtype: one of `VALUE_LISTS`.
        values: the slice's elements; strings as bytes, one by one.
    """
    slices, saved = (message_class(f"cloudckpt.v1.{kind}").DESCRIPTOR for kind in ("SavedTensorSlices", "SavedSlice"))
    start = message_class("cloudckpt.v1.SavedSlice")(name=name.encode())
    encode_slice(tensor_slice, start.slice)
    listed = _encode_list(dtype, values)
    # Put together by hand: a message would copy the values once more for every message around them.
    head = start.SerializeToString(deterministic=True) + _tag(saved, "data", sum(map(len, listed)))
    return b"".join([_tag(slices, "data", len(head) + sum(map(len, listed))), head, *listed])


def decode_record(
    data: bytes, *, path: str, name: str, tensor_slice: TensorSlice, dtype: DataType, count: int
) -> NDArray[Any]:
    """The elements of a slice, checked against what was expected under its key: of one dimension, maybe read-only.

    Raises:
        CheckpointDamagedError: it is another slice's record, has not `count` elements, or can't be parsed.
    """
    message = message_class("cloudckpt.v1.SavedTensorSlices")()
    try:
        message.ParseFromString(data)
        saved = message.data
        if (saved.name, decode_slice(saved.slice)) != (encode_name(name), tensor_slice):
            raise ValueError(f"is of slice {decode_slice(saved.slice)} of {saved.name!r} by what it says itself")
        return decode_values(saved.data, dtype, count)
    except (DecodeError, ValueError) as error:
        raise CheckpointDamagedError(
            f"{path}: the record of slice {tensor_slice} of tensor {name!r} {_found(error)}. Restore another "
            "checkpoint.",
            path=path,
            tensor=name,
        ) from error


def _found(error: Exception) -> str:
    return f"can't be parsed: {error}" if isinstance(error, DecodeError) else str(error)


def _encode_list(dtype: DataType, values: NDArray[Any] | Sequence[bytes]) -> list[bytes]:
    """The fields of a `Values` message that has the values; none if there are none."""
    descriptor, field = message_class("cloudckpt.v1.Values").DESCRIPTOR, VALUE_LISTS[dtype].field
    if dtype == DataType.STRING:
        return [part for string in values for part in (_tag(descriptor, field, len(string)), string)]
    data = encode_values(values, dtype)  # type: ignore[arg-type]  # only strings are a sequence
    return [_tag(descriptor, field, len(data)), data] if data else []


def _tag(message: Any, field: str, size: int) -> bytes:
    """What stands before a field of `size` bytes."""
    return encode_varint(message.fields_by_name[field].number << 3 | _LENGTH_DELIMITED) + encode_varint(size)
