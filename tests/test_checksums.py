"""CRC-32C: known values, and the algebra that joins them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.checksums import combine, crc32c, mask, unmask

CRCS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"\0" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_values_of_rfc_3720(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_any_contiguous_buffer_is_taken() -> None:
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    assert crc32c(array) == crc32c(array.tobytes()) == crc32c(memoryview(array)[1:], crc32c(array[:1]))


@given(st.binary(), st.binary())
def test_a_checksum_goes_on_from_the_one_before(a: bytes, b: bytes) -> None:
    assert crc32c(b, crc32c(a)) == crc32c(a + b)


@given(st.binary(), st.binary())
def test_combine_is_the_checksum_of_both(a: bytes, b: bytes) -> None:
    assert combine(crc32c(a), crc32c(b), len(b)) == crc32c(a + b)


def test_combine_over_lengths_that_differ_in_every_digit() -> None:
    zeros = bytes(0x12345)
    for length in (1, 0xF, 0x10, 0xFF, 0x100, 0xFFFF, 0x10000, 0x12345):
        assert combine(crc32c(b"a"), crc32c(zeros[:length]), length) == crc32c(b"a" + zeros[:length])


@given(CRCS, CRCS, CRCS, st.integers(0, 2**63), st.integers(0, 2**63))
def test_combine_is_associative_at_any_length(a: int, b: int, c: int, length_b: int, length_c: int) -> None:
    left = combine(combine(a, b, length_b), c, length_c)
    assert left == combine(a, combine(b, c, length_c), length_b + length_c)


@given(CRCS)
def test_unmask_undoes_mask(crc: int) -> None:
    assert unmask(mask(crc)) == crc
    assert 0 <= mask(crc) < 2**32


def test_mask_rotates_and_adds() -> None:
    # 0xA282EAD8 is the delta of core/lib/hash/crc32c.h, and the masked checksum of every empty tensor.
    assert mask(0) == 0xA282EAD8
    assert mask(1) == 0xA282EAD8 + 0x20000
    assert mask(0x8000) == 0xA282EAD9
