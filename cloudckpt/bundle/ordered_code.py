"""Numbers and strings as bytes that sort as the values do, one after another without separators.

Every value has exactly one encoding; decoding refuses any other. Source: core/lib/strings/ordered_code.cc.
"""

from __future__ import annotations

import re

__all__ = [
    "decode_number",
    "decode_signed_number",
    "decode_string",
    "encode_number",
    "encode_signed_number",
    "encode_string",
]

_MAX_NUMBER_SIZE = 8
_MAX_SIGNED_SIZE = 10

_STRING_END = b"\0\x01"
_ESCAPED = {b"\0": b"\0\xff", b"\xff": b"\xff\0"}
_UNESCAPED = {escaped: byte for byte, escaped in _ESCAPED.items()}
_SPECIAL = re.compile(rb"[\0\xff]")
_ESCAPE = re.compile(rb"\0\xff|\xff\0")
_STRING = re.compile(rb"((?:[^\0\xff]++|\0\xff|\xff\0)*+)\0\x01", re.DOTALL)


def encode_number(value: int) -> bytes:
    """A number from 0 to 2**64 - 1 (WriteNumIncreasing): how many bytes it has, and those, highest first."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def decode_number(data: bytes, position: int) -> tuple[int, int]:
    """The number that begins at `position`, and the position after it.

    Raises:
        ValueError: none does.
    """
    if position < len(data) and (size := data[position]) <= _MAX_NUMBER_SIZE:
        digits = data[position + 1 : position + 1 + size]
        if len(digits) == size and not digits.startswith(b"\0"):
            return int.from_bytes(digits, "big"), position + 1 + size
    raise ValueError(f"no number begins at byte {position}")


def encode_signed_number(value: int) -> bytes:
    """A number from -2**63 to 2**63 - 1 (WriteSignedNumIncreasing).

    In as many bytes as there are equal bits at its start, 1 of a number that is not negative and 0 of one that is;
    after them come the number's last bits, 7 of each byte, in two's complement.
    """
    size = _signed_size(value)
    return ((value & _ones(8 * size)) ^ _header(size)).to_bytes(size, "big")


def decode_signed_number(data: bytes, position: int) -> tuple[int, int]:
    """The number that begins at `position`, and the position after it.

    Raises:
        ValueError: none does.
    """
    window = data[position : position + _MAX_SIGNED_SIZE]
    negative = window[:1] < b"\x80"
    bits = int.from_bytes(window.ljust(_MAX_SIGNED_SIZE, b"\0"), "big")
    changed = bits if negative else bits ^ _ones(8 * _MAX_SIGNED_SIZE)
    size = 8 * _MAX_SIGNED_SIZE - changed.bit_length()
    if size <= len(window):
        value = (int.from_bytes(window[:size], "big") ^ _header(size)) - (negative << 8 * size)
        if size == _signed_size(value) and -(2**63) <= value < 2**63:
            return value, position + size
    raise ValueError(f"no signed number begins at byte {position}")


def encode_string(value: bytes) -> bytes:
    """Any bytes (WriteString): what could be taken for an end is escaped, and an end follows."""
    return _SPECIAL.sub(lambda match: _ESCAPED[match[0]], value) + _STRING_END


def decode_string(data: bytes, position: int) -> tuple[bytes, int]:
    """The string that begins at `position`, and the position after it.

    Raises:
        ValueError: none does.
    """
    if (match := _STRING.match(data, position)) is None:
        raise ValueError(f"no string begins at byte {position}")
    return _ESCAPE.sub(lambda escape: _UNESCAPED[escape[0]], match[1]), match.end()


def _signed_size(value: int) -> int:
    """How many bytes a number takes: of the 7 bits in each, one is the sign."""
    return (value if value >= 0 else ~value).bit_length() // 7 + 1


def _header(size: int) -> int:
    """What makes, of the sign at the top of so many bytes, the bits that tell their number."""
    return _ones(size) << 7 * size


def _ones(count: int) -> int:
    return (1 << count) - 1
