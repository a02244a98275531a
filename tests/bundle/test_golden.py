"""The files that real TensorFlow wrote into tests/golden: read, and written again byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import decode_index, encode_index
from cloudckpt.checksums import combine, crc32c
from cloudckpt.variables.dtypes import from_numpy, to_numpy
from tests.bundle.tables import decode_table
from tests.bundle.whole_strings import decode_strings, encode_lengths
from tests.golden.cases import CASES, FIXED_SIZE, read, tensors


def test_every_fixed_size_dtype_is_there() -> None:
    index = decode_index(read("dtypes")[0], "dtypes.index")
    assert {entry.dtype for entry in index.entries.values()} == set(FIXED_SIZE)


@pytest.mark.parametrize("case", CASES)
def test_the_index_says_what_was_saved(case: str) -> None:
    index = decode_index(read(case)[0], f"{case}.index")
    assert index.header == BundleHeader(num_shards=1)
    found = {name: (entry.dtype, entry.shape) for name, entry in index.entries.items()}
    assert found == {name: (from_numpy(array.dtype), array.shape) for name, array in tensors(case).items()}


@pytest.mark.parametrize("case", CASES)
def test_the_same_entries_make_the_same_index(case: str) -> None:
    data, _ = read(case)
    index = decode_index(data, f"{case}.index")
    assert encode_index(index.header, dict(reversed([*index.entries.items()]))) == data


@pytest.mark.parametrize("case", [case for case in CASES if case != "strings"])
def test_the_same_tensors_make_the_same_files(case: str) -> None:
    entries, data = {}, b""
    for name, array in tensors(case).items():
        raw = array.tobytes()
        entries[name] = BundleEntry(from_numpy(array.dtype), array.shape, 0, len(data), len(raw), crc32c(raw))
        data += raw
    assert (encode_index(BundleHeader(1), entries), data) == read(case)


def test_the_same_strings_make_the_same_files() -> None:
    entries, data = {}, b""
    for name, array in tensors("strings").items():
        header, crc = encode_lengths([len(string) for string in array.flat])
        strings = b"".join(array.flat)
        crc = combine(crc, crc32c(strings), len(strings))
        size = len(header) + len(strings)
        entries[name] = BundleEntry(from_numpy(array.dtype), array.shape, 0, len(data), size, crc)
        data += header + strings
    assert (encode_index(BundleHeader(1), entries), data) == read("strings")


def test_the_strings_are_read() -> None:
    index, data = read("strings")
    expected = tensors("strings")
    for name, entry in decode_index(index, "strings.index").entries.items():
        stored = memoryview(data)[entry.offset : entry.offset + entry.size]
        strings, crc = decode_strings(stored, expected[name].size, path="strings.data", tensor=name)
        assert strings == expected[name].reshape(-1).tolist()
        assert crc == entry.crc32c


def test_the_numbers_are_read() -> None:
    index, data = read("dtypes")
    expected = tensors("dtypes")
    for name, entry in decode_index(index, "dtypes.index").entries.items():
        stored = data[entry.offset : entry.offset + entry.size]
        array = np.frombuffer(stored, to_numpy(entry.dtype)).reshape(entry.shape)
        assert array.dtype == expected[name].dtype
        assert array.tobytes() == expected[name].tobytes()


def test_long_names_fill_several_blocks() -> None:
    data, _ = read("blocks")
    assert len(data) > 4 * 256 * 1024
    assert len(decode_table(data, "blocks.index")) == len(tensors("blocks")) + 1


def test_slices_are_kept_aside() -> None:
    data, _ = read("slices")
    index = decode_index(data, "slices.index")
    assert index.entries["matrix"].slices == (((0, 2), (0, None)), ((2, 2), (0, None)))
    assert not index.entries["whole"].is_sliced
    assert [entry.shape for entry in index.slice_entries.values()] == [(2, 3), (2, 3)]
    assert [entry.size for entry in index.slice_entries.values()] == [24, 24]
    assert encode_index(index.header, index.entries, index.slice_entries) == data
