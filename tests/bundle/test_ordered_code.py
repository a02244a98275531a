"""The ordered code: known bytes, round trips, the order, and what is no code."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.ordered_code import (
    decode_number,
    decode_signed_number,
    decode_string,
    encode_number,
    encode_signed_number,
    encode_string,
)

numbers = st.integers(0, 64).flatmap(lambda bits: st.integers(0, 2**bits - 1))
signed_numbers = st.integers(0, 63).flatmap(lambda bits: st.integers(-(2**bits), 2**bits - 1))
strings = st.binary(max_size=12) | st.lists(st.sampled_from([0, 1, 254, 255]), max_size=8).map(bytes)

CODES = [
    (encode_number, decode_number, numbers),
    (encode_signed_number, decode_signed_number, signed_numbers),
    (encode_string, decode_string, strings),
]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "00"),
        (1, "0101"),
        (255, "01ff"),
        (256, "020100"),
        (2**64 - 1, "08ffffffffffffffff"),
    ],
)
def test_numbers(value: int, code: str) -> None:
    assert encode_number(value).hex() == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "80"),
        (63, "bf"),
        (64, "c040"),
        (-1, "7f"),
        (-64, "40"),
        (-65, "3fbf"),
        (2**13 - 1, "dfff"),
        (2**13, "e02000"),
        (2**62 - 1, "ffbfffffffffffffff"),
        (2**62, "ffc04000000000000000"),
        (2**63 - 1, "ffc07fffffffffffffff"),
        (-(2**63), "003f8000000000000000"),
    ],
)
def test_signed_numbers(value: int, code: str) -> None:
    assert encode_signed_number(value).hex() == code


@pytest.mark.parametrize(
    ("value", "code"), [("", "0001"), ("61", "610001"), ("00ff", "00ffff000001"), ("ff00", "ff0000ff0001")]
)
def test_strings(value: str, code: str) -> None:
    assert encode_string(bytes.fromhex(value)).hex() == code


@pytest.mark.parametrize(("encode", "decode", "values"), CODES, ids=["number", "signed", "string"])
@given(st.data(), st.binary(max_size=3), st.binary(max_size=3))
def test_decoding_undoes_encoding(
    encode: Any, decode: Any, values: Any, data: st.DataObject, before: bytes, after: bytes
) -> None:
    value = data.draw(values)
    code = encode(value)
    assert decode(before + code + after, len(before)) == (value, len(before) + len(code))


@pytest.mark.parametrize(("encode", "decode", "values"), CODES, ids=["number", "signed", "string"])
@given(st.data())
def test_codes_sort_as_their_values(encode: Any, decode: Any, values: Any, data: st.DataObject) -> None:
    first, second = data.draw(values), data.draw(values)
    assert (encode(first) < encode(second)) == (first < second)


@pytest.mark.parametrize(("encode", "decode", "values"), CODES, ids=["number", "signed", "string"])
@given(st.data(), st.binary(max_size=12), st.integers(0, 3))
def test_any_bytes_are_one_code_or_none(
    encode: Any, decode: Any, values: Any, data: st.DataObject, garbage: bytes, position: int
) -> None:
    with suppress(ValueError):
        value, end = decode(garbage, position)
        assert encode(value) == garbage[position:end]


@pytest.mark.parametrize(("encode", "decode", "values"), CODES, ids=["number", "signed", "string"])
@given(st.data())
def test_a_code_cut_short_is_none(encode: Any, decode: Any, values: Any, data: st.DataObject) -> None:
    code = encode(data.draw(values))
    for length in range(len(code)):
        with pytest.raises(ValueError, match="begins at byte 0"):
            decode(code[:length], 0)


@pytest.mark.parametrize("code", ["0100", "020001", "09", "ff"])
def test_what_is_no_number(code: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        decode_number(bytes.fromhex(code) + bytes(10), 0)


@pytest.mark.parametrize("code", ["", "c000", "3fff", "ffe0", "0000", "ffc08000000000000000", "003f7fffffffffffffff"])
def test_what_is_no_signed_number(code: str) -> None:
    with pytest.raises(ValueError, match="no signed number"):
        decode_signed_number(bytes.fromhex(code), 0)
