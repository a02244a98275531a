"""String tensors: the layout by hand, round trips, and bytes that lie."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.checksums import combine, crc32c, mask
from cloudckpt.errors import CheckpointDamagedError, ChecksumMismatchError
from tests.bundle.whole_strings import decode_strings, encode_lengths

PATH = "bucket/ckpt-1.data-00000-of-00001"


def encode(strings: list[bytes]) -> tuple[bytes, int]:
    """The bytes of a tensor, and its checksum."""
    header, crc = encode_lengths([len(string) for string in strings])
    joined = b"".join(strings)
    return header + joined, combine(crc, crc32c(joined), len(joined))


def decode(data: bytes, count: int, *, big_endian: bool = False) -> tuple[list[bytes], int]:
    return decode_strings(memoryview(data), count, path=PATH, tensor="vocabulary", big_endian=big_endian)


def damage(data: bytes, count: int) -> str:
    with pytest.raises(CheckpointDamagedError) as caught:
        decode(data, count)
    assert caught.value.path == PATH
    assert caught.value.tensor == "vocabulary"
    assert PATH in str(caught.value)
    return str(caught.value)


def test_the_layout() -> None:
    data, crc = encode([b"a", b"", b"x" * 300])
    lengths = crc32c(struct.pack("<3I", 1, 0, 300))
    checksum = struct.pack("<I", mask(lengths))
    assert data == b"\x01\x00\xac\x02" + checksum + b"a" + b"x" * 300
    assert crc == crc32c(checksum + b"a" + b"x" * 300, lengths)


def test_a_length_beyond_32_bits_is_checksummed_as_64() -> None:
    header, crc = encode_lengths([1, 2**32, 2**32 - 1])
    lengths = crc32c(struct.pack("<IQI", 1, 2**32, 2**32 - 1))
    assert header == b"\x01" + bytes.fromhex("8080808010") + bytes.fromhex("ffffffff0f") + struct.pack(
        "<I", mask(lengths)
    )
    assert crc == crc32c(header[-4:], lengths)


@given(st.lists(st.binary(max_size=40) | st.integers(0, 20000).map(bytes), max_size=30))
def test_decoding_undoes_encoding(strings: list[bytes]) -> None:
    data, crc = encode(strings)
    assert decode(data, len(strings)) == (strings, crc)


def test_lengths_may_be_an_array_of_any_integers() -> None:
    assert encode_lengths(np.array([3, 200], np.int16)) == encode_lengths([3, 200])


def test_no_strings_are_a_checksum_or_nothing() -> None:
    assert encode([]) == (struct.pack("<I", mask(0)), crc32c(struct.pack("<I", mask(0))))
    assert decode(encode([])[0], 0) == ([], encode([])[1])
    assert decode(b"", 0) == ([], 0)


def test_a_big_endian_machine_checksums_big_endian_lengths() -> None:
    lengths = crc32c(struct.pack(">2I", 1, 2))
    checksum = struct.pack(">I", mask(lengths))
    data = b"\x01\x02" + checksum + b"abb"
    assert decode(data, 2, big_endian=True) == ([b"a", b"bb"], crc32c(checksum + b"abb", lengths))


def test_altered_lengths_are_a_checksum_mismatch() -> None:
    data = bytearray(encode([b"ab", b"cd"])[0])
    data[0], data[1] = 1, 3
    with pytest.raises(ChecksumMismatchError, match="'vocabulary'") as caught:
        decode(bytes(data), 2)
    assert caught.value.tensor == "vocabulary"


def test_altered_strings_are_another_checksum() -> None:
    data, crc = encode([b"ab", b"cd"])
    assert decode(data.replace(b"cd", b"cD"), 2)[1] != crc


@pytest.mark.parametrize(
    ("data", "count", "found"),
    [
        (b"", 1, "run over the end"),
        (b"\x01\x81\x81", 2, "run over the end"),
        (b"\x00" * 10, 2**50, "run over the end"),
        (b"\x81" * 10 + b"\0", 1, "run over the end"),
        (b"\x81" * 10 + b"\0" * 10, 2, "not readable"),
        (b"\x01", 1, "don't add up"),
        (b"\x01\0\0\0\0", 1, "don't add up"),
        (b"\x01\0\0\0\0ab", 1, "don't add up"),
        (b"\xff" * 8 + b"\x7f" + b"\0" * 4, 1, "don't add up"),
        ((b"\xff" * 8 + b"\x7f") * 2 + b"\x04" + b"\0" * 6, 3, "don't add up"),
        (b"\0\0", 0, "don't add up"),
    ],
)
def test_lengths_that_lie_are_damage(data: bytes, count: int, found: str) -> None:
    assert found in damage(data, count)


@given(st.binary(max_size=60), st.integers(0, 20))
def test_any_bytes_are_strings_or_damage(data: bytes, count: int) -> None:
    with suppress(CheckpointDamagedError):
        assert len(decode(data, count)[0]) == count


def test_truncation_at_any_byte_is_damage() -> None:
    data, _ = encode([b"one", b"", b"x" * 200])
    for length in range(len(data)):
        damage(data[:length], 3)
