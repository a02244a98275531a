"""Varints: known values, and those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.varint import decode_varint, encode_varint


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "ff" * 9 + "01")],
)
def test_known_values(value: int, encoded: str) -> None:
    assert encode_varint(value) == bytes.fromhex(encoded)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=4), st.binary(max_size=4))
def test_decoding_undoes_encoding(value: int, before: bytes, after: bytes) -> None:
    encoded = encode_varint(value)
    assert decode_varint(before + encoded + after, len(before)) == (value, len(before) + len(encoded))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9])
def test_an_end_in_the_middle_is_an_index_error(data: bytes) -> None:
    with pytest.raises(IndexError):
        decode_varint(data, 0)


@pytest.mark.parametrize("data", [b"\x80\0", b"\xff\x80\0", b"\x80" * 9 + b"\0"])
def test_more_bytes_than_needed_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="more bytes than it needs"):
        decode_varint(data, 0)


@pytest.mark.parametrize("data", [b"\xff" * 10, b"\x80" * 10 + b"\0", b"\xff" * 9 + b"\x02"])
def test_more_than_64_bits_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="varint of more than"):
        decode_varint(data, 0)
