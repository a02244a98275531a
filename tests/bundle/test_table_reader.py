"""The reader before tables that were cut, altered, or made to lie; whole ones are in test_table_writer.py."""

from __future__ import annotations

import struct
from contextlib import suppress

import cramjam
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudckpt.bundle.block import BlockBuilder
from cloudckpt.bundle.table import HANDLES_SIZE, MAGIC, SNAPPY, TRAILER, UNCOMPRESSED
from cloudckpt.bundle.table_reader import TableReader
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import crc32c, mask
from cloudckpt.errors import CheckpointDamagedError, ChecksumMismatchError
from tests.bundle.tables import decode_table

PATH = "bucket/ckpt-1.index"
EMPTY = BlockBuilder(1).finish()


def block_of(*entries: tuple[bytes, bytes]) -> bytes:
    builder = BlockBuilder(16)
    for key, value in entries:
        builder.add(key, value)
    return builder.finish()


class Forgery:
    """A table put together by hand, whose checksums are right."""

    def __init__(self) -> None:
        self.data = b""

    def append(self, block: bytes, compression: int = UNCOMPRESSED) -> bytes:
        handle = encode_varint(len(self.data)) + encode_varint(len(block))
        crc = crc32c(bytes([compression]), crc32c(block))
        self.data += block + TRAILER.pack(compression, mask(crc))
        return handle

    def finish(self, *index: tuple[bytes, bytes], metaindex: bytes = EMPTY) -> bytes:
        handles = self.append(metaindex) + self.append(block_of(*index))
        return self.data + handles.ljust(HANDLES_SIZE, b"\0") + MAGIC


def damage(table: bytes) -> str:
    with pytest.raises(CheckpointDamagedError) as caught:
        decode_table(table, PATH)
    assert caught.value.path == PATH
    assert PATH in str(caught.value)
    return str(caught.value)


def test_a_forgery_without_lies_is_read() -> None:
    forgery = Forgery()
    first = forgery.append(block_of((b"a", b"1"), (b"b", b"2")))
    second = forgery.append(cramjam.snappy.compress_raw(block_of((b"d", b"3"))).read(), SNAPPY)
    table = forgery.finish((b"c", first), (b"d", second))
    assert decode_table(memoryview(bytearray(table)), PATH) == [(b"a", b"1"), (b"b", b"2"), (b"d", b"3")]


def test_an_altered_block_is_a_checksum_mismatch() -> None:
    forgery = Forgery()
    handle = forgery.append(block_of((b"a", b"value")))
    table = forgery.finish((b"a", handle)).replace(b"value", b"VALUE")
    with pytest.raises(ChecksumMismatchError, match="the block at byte 0"):
        decode_table(table, PATH)


def test_keys_out_of_order_are_damage() -> None:
    forgery = Forgery()
    handle = forgery.append(block_of((b"b", b""), (b"a", b"")))
    assert "keys are not in order" in damage(forgery.finish((b"c", handle)))


def test_keys_that_repeat_are_damage() -> None:
    forgery = Forgery()
    handle = forgery.append(block_of((b"a", b""), (b"a", b"")))
    assert "keys are not in order" in damage(forgery.finish((b"c", handle)))


def test_keys_beyond_their_separator_are_damage() -> None:
    # A reader that searches by the index would miss "b".
    forgery = Forgery()
    handle = forgery.append(block_of((b"b", b"")))
    assert "index and its blocks disagree" in damage(forgery.finish((b"a", handle)))


def test_keys_not_beyond_the_separator_before_are_damage() -> None:
    forgery = Forgery()
    first, second = forgery.append(block_of((b"a", b""))), forgery.append(block_of((b"b", b"")))
    assert "keys are not in order" in damage(forgery.finish((b"b", first), (b"c", second)))


def test_a_block_listed_twice_is_damage() -> None:
    # Else a small file of one large compressed block could be unpacked for ever.
    forgery = Forgery()
    handle = forgery.append(EMPTY)
    assert "overlap" in damage(forgery.finish((b"a", handle), (b"b", handle)))


def test_a_block_beyond_the_file_is_damage() -> None:
    assert "would end at byte" in damage(Forgery().finish((b"a", encode_varint(0) + encode_varint(2**63))))


@pytest.mark.parametrize("handle", [b"", b"\x80", b"\0", b"\xff" * 20])
def test_a_handle_that_is_none_is_damage(handle: bytes) -> None:
    assert "the position of a block can't be read" in damage(Forgery().finish((b"a", handle)))


def test_a_metaindex_with_entries_is_damage() -> None:
    assert "metaindex is not empty" in damage(Forgery().finish(metaindex=block_of((b"a", b""))))


def test_a_metaindex_is_checked_too() -> None:
    table = bytearray(Forgery().finish())
    table[0] ^= 1
    with pytest.raises(ChecksumMismatchError):
        decode_table(table, PATH)


def test_padding_that_is_not_zero_is_damage() -> None:
    table = bytearray(Forgery().finish())
    table[-len(MAGIC) - 1] = 1
    assert "padding is not zero" in damage(bytes(table))


def test_another_kind_of_file_is_damage() -> None:
    assert "another kind of file" in damage(b"<html>" * 50)


@pytest.mark.parametrize(
    ("block", "compression", "found"),
    [
        (b"", SNAPPY, "does not say how large"),
        (b"\x80", SNAPPY, "does not say how large"),
        (b"\xff" * 12, SNAPPY, "varint"),
        (encode_varint(2**40) + b"\0" * 20, SNAPPY, "claims to unpack to 1099511627776"),
        (encode_varint(2**60) + b"\0" * 20, SNAPPY, "claims to unpack to"),
        (encode_varint(10) + b"\xff\xff\xff", SNAPPY, "can't be unpacked"),
        (EMPTY, 2, "unknown way, 2"),
        (EMPTY[:3], UNCOMPRESSED, "too short"),
    ],
)
def test_a_block_that_can_not_be_unpacked_is_damage(block: bytes, compression: int, found: str) -> None:
    forgery = Forgery()
    handle = forgery.append(block, compression)
    assert found in damage(forgery.finish((b"a", handle)))


def test_the_densest_snappy_block_is_within_the_bound() -> None:
    entries = [(b"k", b"\0" * 200_000)]
    block = cramjam.snappy.compress_raw(block_of(*entries)).read()
    assert len(block) * 21 < 200_000 + 20
    forgery = Forgery()
    assert decode_table(forgery.finish((b"k", forgery.append(block, SNAPPY))), PATH) == entries


def test_keys_of_a_compressed_block_are_bounded_by_the_file() -> None:
    """A compressed block is as many times smaller, and its keys as many times larger."""
    entries = [(b"k" * 40_000 + bytes([number]), b"") for number in range(64)]
    block = block_of(*entries)
    assert sum(len(key) for key, _ in entries) < 64 * len(block)
    forgery = Forgery()
    handle = forgery.append(cramjam.snappy.compress_raw(block).read(), SNAPPY)
    assert "more than 64 times" in damage(forgery.finish((b"l", handle)))


@given(st.binary(max_size=80), st.sampled_from([UNCOMPRESSED, SNAPPY]))
@example(struct.pack("<B", 200) + b"\x01" * 30, SNAPPY)
def test_any_block_with_a_right_checksum_is_entries_or_damage(block: bytes, compression: int) -> None:
    forgery = Forgery()
    handle = forgery.append(block, compression)
    with suppress(CheckpointDamagedError):
        decode_table(forgery.finish((b"\xff" * 100, handle)), PATH)


class Reads:
    """A file that is read in ranges, which are noted."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.ranges: list[tuple[int, int]] = []

    def __call__(self, start: int, stop: int) -> bytes:
        self.ranges.append((start, stop))
        return self.data[start:stop]

    def open(self) -> TableReader:
        return TableReader(self, len(self.data), PATH)


def three_blocks() -> Reads:
    forgery = Forgery()
    blocks = [forgery.append(block_of((key, key * 9))) for key in (b"b", b"d", b"f")]
    return Reads(forgery.finish((b"c", blocks[0]), (b"d", blocks[1]), (b"g", blocks[2])))


def test_blocks_are_read_one_by_one() -> None:
    reads = three_blocks()
    table = reads.open()
    assert table.block_count == 3
    assert all(start >= table.extent(2)[1] for start, _ in reads.ranges)
    reads.ranges.clear()
    assert table.block(1) == [(b"d", b"d" * 9)]
    assert reads.ranges == [table.extent(1)]


def test_a_block_that_was_read_before_is_not_read_again() -> None:
    reads = three_blocks()
    table = reads.open()
    start, stop = table.extent(2)
    reads.ranges.clear()
    assert table.block(2, memoryview(reads.data)[start:stop]) == [(b"f", b"f" * 9)]
    assert not reads.ranges


@pytest.mark.parametrize(
    ("key", "number"),
    [(b"", 0), (b"b", 0), (b"c", 0), (b"c\0", 1), (b"d", 1), (b"e", 2), (b"g", 2), (b"h", None)],
)
def test_a_key_is_found_by_the_index(key: bytes, number: int | None) -> None:
    assert three_blocks().open().find(key) == number


def test_a_block_is_checked_against_its_neighbour_without_reading_that() -> None:
    forgery = Forgery()
    first, second = forgery.append(block_of((b"a", b""))), forgery.append(block_of((b"b", b"")))
    table = Reads(forgery.finish((b"b", first), (b"c", second))).open()
    with pytest.raises(CheckpointDamagedError, match="not in order"):
        table.block(1)
