"""The keys of slices: by hand, both ways, and what is no key."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.slice_keys import decode_slice_key, encode_slice_key

extents = st.just((0, None)) | st.tuples(st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1))
slices: Any = st.lists(extents, max_size=5).map(tuple)
names = st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"))


def test_a_key() -> None:
    key = encode_slice_key("a/b", ((2, 100), (0, None)))
    assert key == b"\0" + b"a/b\0\x01" + b"\x01\x02" + b"\x82" + b"\xc0\x64" + b"\x80" + b"\x7f"


def test_a_scalars_key() -> None:
    assert encode_slice_key("s", ()) == b"\0s\0\x01\0"


@given(names, slices)
def test_decoding_undoes_encoding(name: str, tensor_slice: Any) -> None:
    assert decode_slice_key(encode_slice_key(name, tensor_slice)) == (name, tensor_slice)


@given(st.binary(max_size=20) | st.binary(max_size=20).map(lambda end: b"\0w\0\x01" + end))
def test_any_bytes_are_one_key_or_none(key: bytes) -> None:
    with suppress(ValueError):
        assert encode_slice_key(*decode_slice_key(key)) == key


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"w",
        b"\0w",
        b"\x01\x01w\0\x01\0",
        b"\0w\0\x01",
        b"\0w\0\x01\x01\x01",
        b"\0w\0\x01\x01\x01\x80",
        b"\0w\0\x01\x01\x01\x80\x81more",
        b"\0w\0\x01\x01\x02\x80\x81",
        b"\0w\0\x01\x01\x01\x80\x80",  # no elements
        b"\0w\0\x01\x01\x01\x7f\x81",  # begins before the first
        b"\0w\0\x01\x01\x01\x81\x7f",  # the rest of a dimension, which nobody writes
        b"\0w\0\x01\x08" + b"\xff" * 8,
    ],
)
def test_what_is_no_key(key: bytes) -> None:
    with pytest.raises(ValueError):
        decode_slice_key(key)
