"""The keys of slices in an index: the tensor's name and the slice, in the ordered code.

They begin with the number 0, one NUL byte, which no tensor's name does. V1 files use the same keys for their tensors.

Source: core/util/saved_tensor_slice_util.cc, EncodeTensorNameSlice.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cloudckpt.bundle.ordered_code import (
    decode_number,
    decode_signed_number,
    decode_string,
    encode_number,
    encode_signed_number,
    encode_string,
)
from cloudckpt.bundle.tensor_names import decode_name, encode_name

if TYPE_CHECKING:
    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["SLICE_KEY_START", "decode_slice_key", "encode_slice_key", "tensor_of_key"]

SLICE_KEY_START = b"\0"

_FULL_EXTENT = (0, -1)
"""Start and length, as written, of a slice that has all of a dimension."""


def encode_slice_key(name: str, tensor_slice: TensorSlice) -> bytes:
    """The key of one slice of a tensor, exactly TensorFlow's bytes.

    Raises:
        UnicodeEncodeError: the name has surrogates that stand for no byte.
    """
    raw_name = encode_name(name)
    encoded = [encode_number(0), encode_string(raw_name), encode_number(len(tensor_slice))]
    for start, length in tensor_slice:
        encoded.append(encode_signed_number(start))
        encoded.append(encode_signed_number(_FULL_EXTENT[1] if length is None else length))
    return b"".join(encoded)


def decode_slice_key(key: bytes) -> tuple[str, TensorSlice]:
    """The tensor's name, and the slice.

    Raises:
        ValueError: no slice has that key.
    """
    kind, position = decode_number(key, 0)
    name, position = decode_string(key, position)
    rank, position = decode_number(key, position)
    extents: list[tuple[int, int | None]] = []
    # Each extent takes bytes of the key, so a rank that lies ends at the key's end.
    while position < len(key) and len(extents) < rank:
        start, position = decode_signed_number(key, position)
        length, position = decode_signed_number(key, position)
        extents.append(_checked_extent(start, length))
    if kind != 0 or len(extents) != rank or position != len(key):
        raise ValueError(f"{key!r} is no key of a slice")
    return decode_name(name), tuple(extents)


def tensor_of_key(key: bytes) -> str:
    """The name of the tensor that a key of an index is about, as far as it can be read: a foreign one may be any."""
    if key.startswith(SLICE_KEY_START):
        with suppress(ValueError):
            return decode_slice_key(key)[0]
    return decode_name(key)


def _checked_extent(start: int, length: int) -> tuple[int, int | None]:
    if (start, length) == _FULL_EXTENT:
        return 0, None
    if start < 0 or length <= 0:
        raise ValueError(f"a slice can't begin at {start} and have length {length}")
    return start, length
