"""Checksums that are computed as bytes pass: as those of whole arrays, in whatever pieces the bytes come."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.content_checksums import content_checksum
from cloudckpt.bundle.strings import LengthsEncoder
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import crc32c, mask
from cloudckpt.variables.dtypes import DataType

CONTENTS = st.lists(st.binary(max_size=300), max_size=6)
STEPS = st.integers(1, 40)


def strings(contents: list[bytes]) -> tuple[bytes, int]:
    encoder = LengthsEncoder()
    varints = encoder.add([len(each) for each in contents])
    checksum, crc = encoder.finish()
    body = b"".join(contents)
    return varints + checksum + body, crc32c(body, crc)


def variants(contents: list[bytes], order: str = "<") -> tuple[bytes, int]:
    """As TensorFlow writes them: after each the masked checksum of all so far, lengths as fixed-width numbers."""
    data, crc = b"", 0
    for each in contents:
        crc = crc32c(each, crc32c(struct.pack(f"{order}Q", len(each)), crc))
        checksum = struct.pack(f"{order}I", mask(crc))
        data += encode_varint(len(each)) + each + checksum
        crc = crc32c(checksum, crc)
    return data, crc


def computed(dtype: int, data: bytes, count: int, step: int = 1 << 20, *, big_endian: bool = False) -> int:
    checksum = content_checksum(dtype, len(data), count, big_endian=big_endian)
    for start in range(0, len(data), step):
        checksum.take(start, memoryview(data)[start : start + step])
    return checksum.finish()


@given(CONTENTS, STEPS)
def test_strings_in_pieces(contents: list[bytes], step: int) -> None:
    data, crc = strings(contents)
    assert computed(DataType.STRING, data, len(contents), step) == crc


@given(CONTENTS, STEPS, st.booleans())
def test_variants_in_pieces(contents: list[bytes], step: int, big_endian: bool) -> None:
    data, crc = variants(contents, ">" if big_endian else "<")
    assert computed(DataType.VARIANT, data, len(contents), step, big_endian=big_endian) == crc


@given(st.binary(max_size=300), STEPS)
def test_numbers_in_pieces_in_any_order(data: bytes, step: int) -> None:
    checksum = content_checksum(DataType.UINT8, len(data), len(data), big_endian=False)
    assert not checksum.in_order
    for start in reversed(range(0, len(data), step)):
        checksum.take(start, memoryview(data)[start : start + step])
    assert checksum.finish() == crc32c(data)


def test_nothing_at_all() -> None:
    for dtype in (DataType.STRING, DataType.VARIANT, DataType.FLOAT):
        assert computed(dtype, b"", 0) == 0


@pytest.mark.parametrize("make", [strings, variants], ids=["strings", "variants"])
def test_every_bit_that_is_flipped_changes_it(make: object) -> None:
    dtype = DataType.STRING if make is strings else DataType.VARIANT
    data, crc = (strings if make is strings else variants)([b"one", b"", b"x" * 130])
    for position in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with suppress(ValueError):
            assert computed(dtype, bytes(flipped), 3) != crc


@pytest.mark.parametrize(
    ("data", "count", "found"),
    [
        (variants([b"a", b"b"])[0], 1, "goes on after its last variant"),
        (variants([b"a"])[0], 2, "ends before 1 of its variants"),
        (variants([b"abc"])[0][:-1], 1, "ends before 1 of its variants"),
        (encode_varint(2**63) + b"abc", 1, "ends before 1 of its variants"),
        (b"\xff" * 11, 1, "varint"),
        (variants([b"a"])[0][:-1] + b"\0", 1, "by its own checksum"),
    ],
)
def test_variants_that_lie(data: bytes, count: int, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        computed(DataType.VARIANT, data, count)


def test_a_string_longer_than_a_piece_is_not_kept() -> None:
    """Whatever the length of a string, what was taken of it is let go."""
    data, crc = strings([b"x" * (1 << 20)])
    checksum = content_checksum(DataType.STRING, len(data), 1, big_endian=False)
    for start in range(0, len(data), 1 << 10):
        checksum.take(start, memoryview(np.frombuffer(data, np.uint8))[start : start + (1 << 10)])
    kept = sum(len(value) for value in vars(checksum).values() if isinstance(value, bytes | bytearray))
    assert kept < 1 << 10
    assert checksum.finish() == crc
