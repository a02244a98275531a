"""The bytes of a tensor, whatever its memory is like: any range of them, cut anywhere."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudckpt.checkpoint import sources, string_source
from cloudckpt.checkpoint.sources import Source, bytes_of, numeric_source
from cloudckpt.checksums import combine, crc32c
from tests.bundle.whole_strings import decode_strings, encode_lengths
from tests.objects.trees.strategies import fixed_arrays, string_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BLOCK_BYTES", 16)
    monkeypatch.setattr(string_source, "BLOCK_BYTES", 16)
    monkeypatch.setattr(string_source, "CHUNK_ELEMENTS", 3)


def read(source: Source, start: int, stop: int) -> Sequence[memoryview]:
    return [bytes_of(source)[start:stop]] if isinstance(source, np.ndarray) else source.read(start, stop)


def whole(source: Source) -> bytes:
    return b"".join(read(source, 0, source.nbytes))


def in_pieces(source: Source, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cut % (source.nbytes + 1) for cut in cuts), source.nbytes]
    return b"".join(view for start, stop in pairwise(edges) for view in read(source, start, stop))


def encoded(array: np.ndarray) -> tuple[bytes, int]:
    """A string tensor's bytes and checksum, made at once."""
    strings = [text if isinstance(text, bytes) else text.encode() for text in array.ravel().tolist()]
    header, crc = encode_lengths([len(string) for string in strings])
    joined = b"".join(strings)
    return header + joined, combine(crc, crc32c(joined), len(joined))


@settings(max_examples=60)
@given(fixed_arrays(), st.lists(st.integers(0, 1000), max_size=3))
def test_a_numeric_source_is_the_arrays_bytes(array: np.ndarray, cuts: list[int]) -> None:
    source = numeric_source(array)
    assert (source.dtype, source.shape, source.nbytes) == (array.dtype, array.shape, array.nbytes)
    assert whole(source) == array.tobytes()
    assert in_pieces(source, cuts) == array.tobytes()


@settings(max_examples=60)
@given(string_arrays(), st.lists(st.integers(0, 1000), max_size=3))
def test_a_string_source_is_tensorflows_layout(array: np.ndarray, cuts: list[int]) -> None:
    source = string_source.string_source(array)
    data, crc = encoded(array)
    assert whole(source) == data
    assert in_pieces(source, cuts) == data
    strings = data[source.header_size :]
    assert combine(source.header_crc32c, crc32c(strings), len(strings)) == crc


@pytest.mark.parametrize("text", ["é" * 100, "x" * 100, "a" + "\U0001f600" * 33], ids=["two", "one", "four"])
def test_a_long_text_is_encoded_in_pieces(text: str) -> None:
    array = np.array(["", "a", text, "", "b"], object)
    source = string_source.string_source(array)
    assert whole(source) == encoded(array)[0]
    assert max(len(view) for view in source.read(0, source.nbytes)) <= 4 * 16


def test_contiguous_memory_is_not_copied() -> None:
    array = np.arange(100.0).reshape(10, 10)
    assert numeric_source(array) is array
    view = bytes_of(array)[80:160]
    array[1] = 7
    assert np.frombuffer(view).tolist() == [7.0] * 10


def test_blocks_of_other_memory_are_small() -> None:
    array = np.asfortranarray(np.arange(1000, dtype=np.uint8).reshape(10, 100))
    assert {len(view) for view in read(numeric_source(array), 0, 1000)} <= {*range(1, 17)}


@pytest.mark.parametrize("stop", [1000, 1001, 1 << 40])
def test_a_range_ends_with_the_tensor(stop: int) -> None:
    array = np.asfortranarray(np.arange(1000, dtype=np.uint8).reshape(10, 100))
    assert b"".join(read(numeric_source(array), 990, stop)) == array.tobytes()[990:]
    assert b"".join(read(numeric_source(array), stop, stop + 1)) == b""


@pytest.mark.parametrize("array", [np.array([1], object), np.array(["a", None], object)], ids=repr)
def test_other_objects_are_no_strings(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"holds str or bytes, not (int|NoneType)"):
        string_source.string_source(array)


def test_what_is_read_back_is_what_was_there() -> None:
    array = np.array([["a", "bc"], ["żółw", ""]])
    data = whole(string_source.string_source(array))
    strings, _ = decode_strings(memoryview(data), 4, path="p", tensor="t")
    assert [string.decode() for string in strings] == ["a", "bc", "żółw", ""]
