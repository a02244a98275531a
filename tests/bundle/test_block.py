"""Blocks: the layout by hand, round trips, and blocks that lie."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.block import BlockBuilder, decode_block, shared_prefix_length
from cloudckpt.bundle.varint import encode_varint


def build(entries: list[tuple[bytes, bytes]], restart_interval: int = 16) -> bytes:
    builder = BlockBuilder(restart_interval)
    for key, value in entries:
        builder.add(key, value)
    block = builder.finish()
    assert builder.size == len(block)
    return block


def test_keys_leave_out_what_they_share_but_at_restarts() -> None:
    block = build([(b"ab", b"1"), (b"abc", b"2"), (b"abd", b"3")], restart_interval=2)
    entries = b"\0\x02\x01ab1" + b"\x02\x01\x01c2" + b"\0\x03\x01abd3"
    assert block == entries + struct.pack("<3I", 0, 11, 2)


def test_an_empty_block_has_one_restart() -> None:
    assert build([]) == struct.pack("<2I", 0, 1)
    assert decode_block(build([])) == []


@given(st.dictionaries(st.binary(), st.binary(max_size=300)), st.integers(1, 20))
def test_decoding_undoes_building(entries: dict[bytes, bytes], restart_interval: int) -> None:
    ordered = sorted(entries.items())
    assert decode_block(build(ordered, restart_interval)) == ordered


@given(st.binary(), st.binary(), st.binary())
def test_the_shared_prefix_is_the_longest(common: bytes, a: bytes, b: bytes) -> None:
    a, b = common + a, common + b
    length = shared_prefix_length(a, b)
    assert length >= len(common)
    assert a[:length] == b[:length]
    assert a[length : length + 1] != b[length : length + 1] or a == b


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"", "too short"),
        (b"\0\0\0", "too short"),
        (struct.pack("<I", 0), "claims 0 restarts"),
        (struct.pack("<2I", 0, 2), "claims 2 restarts"),
        (struct.pack("<2I", 0, 2**32 - 1), "claims 4294967295 restarts"),
        (b"\0\x05\0a" + struct.pack("<2I", 0, 1), "more bytes than there are"),
        (b"\x01\x01\0a" + struct.pack("<2I", 0, 1), "more bytes than there are"),
        (b"\0\x01" + struct.pack("<2I", 0, 1), "over the end"),
        (b"\0" + b"\xff" * 10 + struct.pack("<2I", 0, 1), "varint"),
    ],
)
def test_a_block_that_lies_is_a_value_error(block: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_block(block)


@given(st.binary(max_size=64))
def test_any_bytes_are_entries_or_a_value_error(data: bytes) -> None:
    try:
        entries = decode_block(data)
    except ValueError:
        return
    assert sum(len(value) for _, value in entries) <= len(data)


def test_a_block_whose_keys_unpack_without_bound_is_refused() -> None:
    key = b"k" * 1000
    first = encode_varint(0) + encode_varint(len(key)) + encode_varint(0) + key
    again = encode_varint(len(key)) + encode_varint(0) + encode_varint(0)
    block = first + again * 1000 + struct.pack("<2I", 0, 1)
    with pytest.raises(ValueError, match="more than 64 times"):
        decode_block(block)


def test_keys_are_measured_by_what_is_stored_of_a_compressed_block() -> None:
    entries = [(b"k" * 400 + bytes([number]), b"") for number in range(64)]
    block = build(entries)
    assert decode_block(block, stored_size=500) == entries
    with pytest.raises(ValueError, match="more than 64 times"):
        decode_block(block, stored_size=400)


def test_long_keys_that_differ_at_the_end_alone_are_read() -> None:
    entries = [(b"k" * 4000 + bytes([number]), b"") for number in range(64)]
    builder = BlockBuilder(restart_interval=16)
    for key, value in entries:
        builder.add(key, value)
    assert decode_block(builder.finish()) == entries
