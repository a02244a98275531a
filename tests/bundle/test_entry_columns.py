"""Entries in columns: a mapping like any other, in a fraction of the memory."""

from __future__ import annotations

import tracemalloc

import pytest

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.entry_columns import NamedEntries
from cloudckpt.bundle.index import BundleIndex, decode_index, encode_index
from cloudckpt.variables.dtypes import DataType

ENTRIES = {
    "a": BundleEntry(DataType.FLOAT, (2, 3), 1, 64, 24, 0x12345678),
    "b": BundleEntry(DataType.STRING, (2,), 0, 0, 9, 7),
    "c": BundleEntry(DataType.FLOAT, (4,), 0, 0, 0, 0, slices=(((0, 4),),)),
    "d": BundleEntry(DataType.FLOAT, (2, 3), 1, 88, 24, 2**32 - 1),
}


def test_it_is_a_mapping_in_order() -> None:
    entries = decode_index(encode_index(BundleHeader(2), ENTRIES), "p.index").entries
    assert list(entries) == list(ENTRIES)
    assert list(entries.values()) == list(ENTRIES.values())
    assert list(entries.items()) == list(ENTRIES.items())
    assert {name: entries[name] for name in ENTRIES} == ENTRIES
    assert len(entries) == 4
    assert "a" in entries
    assert "e" not in entries
    assert entries.get("e") is None
    with pytest.raises(KeyError):
        entries["e"]


def test_extents_are_of_what_has_bytes_of_its_own() -> None:
    slices = {b"\0c\0\1": BundleEntry(DataType.FLOAT, (4,), 1, 112, 16, 0)}
    expected = [(1, 64, 24), (0, 0, 9), (1, 88, 24), (1, 112, 16)]
    assert list(BundleIndex(BundleHeader(2), NamedEntries.of(ENTRIES), slices).extents()) == expected
    index = decode_index(encode_index(BundleHeader(2), ENTRIES, slices), "p.index")
    assert list(index.extents()) == expected


def test_numbers_are_python_integers() -> None:
    entry = decode_index(encode_index(BundleHeader(2), ENTRIES), "p.index").entries["d"]
    assert {type(number) for number in (entry.offset, entry.size, entry.crc32c, entry.shard_id)} == {int}
    assert type(entry.dtype) is DataType


def test_an_entry_takes_little_memory_beyond_its_name() -> None:
    count = 20_000
    entries = {
        f"{number:05}": BundleEntry(DataType.FLOAT, (2,), 0, 8 * number, 8, number << 17) for number in range(count)
    }
    data = encode_index(BundleHeader(1), entries)
    decode_index(data, "p.index")
    tracemalloc.start()
    try:
        index = decode_index(data, "p.index")
        used, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index.entries) == count
    assert used < 200 * count
    assert peak < 200 * count + (8 << 20)
