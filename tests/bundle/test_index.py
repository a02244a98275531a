"""Whole indexes: round trips, order, names, and every byte and bit damaged."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import decode_index, encode_index
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError, ChecksumMismatchError, StructureError
from cloudckpt.variables.dtypes import DataType

PATH = "bucket/ckpt-1.index"
HEADER = BundleHeader(1)
ENTRIES = {
    "layer/bias": BundleEntry(DataType.FLOAT, (3,), 0, 0, 12, 1),
    "layer/kernel": BundleEntry(DataType.BFLOAT16, (3, 2), 0, 12, 12, 2),
    "step": BundleEntry(DataType.INT64, (), 0, 24, 8, 3),
}
NAMES = st.text(min_size=1, max_size=20).filter(lambda name: not name.startswith("\0"))


@given(st.dictionaries(NAMES, st.sampled_from(list(ENTRIES.values()))))
def test_decoding_undoes_encoding_in_the_order_of_the_bytes(entries: dict[str, BundleEntry]) -> None:
    index = decode_index(encode_index(HEADER, entries), PATH)
    assert index.header == HEADER
    assert index.entries == entries
    assert list(index.entries) == sorted(entries, key=str.encode)
    assert index.slice_entries == {}


def test_a_name_that_is_no_utf8_survives() -> None:
    data = encode_table([(b"", HEADER.encode()), (b"caf\xe9", ENTRIES["step"].encode())])
    index = decode_index(data, PATH)
    assert list(index.entries) == ["caf\udce9"]
    assert encode_index(index.header, index.entries) == data


def test_slices_are_kept_aside() -> None:
    whole = BundleEntry(DataType.FLOAT, (4,), 0, 0, 0, 0, slices=(((0, 4),),))
    data = encode_index(HEADER, {"w": whole} | ENTRIES, {b"\0w\0\1\1": ENTRIES["layer/bias"]})
    index = decode_index(data, PATH)
    assert index.entries == {"w": whole} | ENTRIES
    assert index.slice_entries == {b"\0w\0\1\1": ENTRIES["layer/bias"]}
    assert encode_index(index.header, index.entries, index.slice_entries) == data


def test_a_tensor_needs_a_name() -> None:
    with pytest.raises(StructureError, match="name is empty"):
        encode_index(HEADER, {"": ENTRIES["step"]})


@pytest.mark.parametrize("table", [[], [(b"step", ENTRIES["step"].encode())]])
def test_an_index_without_a_header_is_damage(table: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(CheckpointDamagedError, match="header is missing"):
        decode_index(encode_table(table), PATH)


def test_an_entry_beyond_the_shards_is_damage_by_its_name() -> None:
    entry = BundleEntry(DataType.INT64, (), 1, 0, 8, 0)
    with pytest.raises(CheckpointDamagedError, match="'far/away' is in shard 1 of 1") as caught:
        decode_index(encode_index(HEADER, {"far/away": entry}), PATH)
    assert caught.value.tensor == "far/away"


def test_a_truncation_at_any_byte_is_damage() -> None:
    data = encode_index(HEADER, ENTRIES)
    for length in range(len(data)):
        with pytest.raises(CheckpointDamagedError) as caught:
            decode_index(data[:length], PATH)
        assert PATH in str(caught.value)


def test_any_flipped_bit_is_damage() -> None:
    data = encode_index(HEADER, ENTRIES)
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(CheckpointDamagedError) as caught:
            decode_index(flipped, PATH)
        assert PATH in str(caught.value)


@given(st.data())
def test_any_replaced_bytes_are_damage(data: st.DataObject) -> None:
    encoded = encode_index(HEADER, ENTRIES)
    start = data.draw(st.integers(0, len(encoded)))
    replacement = data.draw(st.binary(max_size=60))
    replaced = encoded[:start] + replacement + encoded[start + len(replacement) :]
    if replaced != encoded:
        with pytest.raises(CheckpointDamagedError):
            decode_index(replaced, PATH)


@given(st.binary(max_size=100))
def test_any_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(CheckpointDamagedError):
        decode_index(data, PATH)


@given(st.dictionaries(st.binary(max_size=5), st.binary(max_size=30), max_size=4))
def test_any_table_is_an_index_or_an_error_of_ours(table: dict[bytes, bytes]) -> None:
    with suppress(CheckpointDamagedError, CheckpointVersionError):
        decode_index(encode_table(sorted(table.items())), PATH)


def test_a_flip_within_a_block_is_a_checksum_mismatch() -> None:
    data = encode_index(HEADER, ENTRIES).replace(b"kernel", b"kernal")
    with pytest.raises(ChecksumMismatchError, match="restore another checkpoint"):
        decode_index(data, PATH)
