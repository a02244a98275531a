"""Unsigned integers in as few bytes as they need: seven bits a byte, lowest first, the top bit set on all but the last.

Source: core/lib/core/coding.cc.
"""

from __future__ import annotations

__all__ = ["decode_varint", "encode_varint"]

_MAX_BYTES = 10
_ONE_BYTE = [bytes([byte]) for byte in range(256)]


def encode_varint(value: int) -> bytes:
    """The bytes of a number from 0 to 2**64 - 1."""
    encoded = b""
    while value > 0x7F:
        encoded += _ONE_BYTE[value & 0x7F | 0x80]
        value >>= 7
    return encoded + _ONE_BYTE[value]


def decode_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number that begins at `position`, and the position after it.

    Raises:
        IndexError: the data ends before the number does.
        ValueError: the number has more than 64 bits, or more bytes than it needs: nobody writes that.
    """
    value = data[position]
    if value <= 0x7F:
        return value, position + 1
    value &= 0x7F
    for count in range(1, _MAX_BYTES):
        byte = data[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte <= 0x7F:
            break
    else:
        raise ValueError("a varint of more than ten bytes")
    if value >> 64:
        raise ValueError("a varint of more than 64 bits")
    if byte == 0:
        raise ValueError("a varint of more bytes than it needs")
    return value, position + count + 1
