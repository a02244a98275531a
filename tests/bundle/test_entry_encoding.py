"""Entries put together by hand: the same bytes as protobuf's own, whatever the numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.checksums import mask, unmask
from cloudckpt.descriptors import message_class

INT64 = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.one_of(st.integers(0, 300), INT64)
EXTENTS = st.one_of(st.just((0, None)), st.tuples(NUMBERS, NUMBERS))


def by_protobuf(entry: BundleEntry) -> bytes:
    message = message_class("tensorflow.BundleEntryProto")(
        dtype=entry.dtype, shard_id=entry.shard_id, offset=entry.offset, size=entry.size
    )
    message.shape.SetInParent()
    for size in entry.shape:
        message.shape.dim.add(size=size)
    for tensor_slice in entry.slices:
        extents = message.slices.add().extent
        for start, length in tensor_slice:
            extents.add(**({} if length is None else {"start": start, "length": length}))
    if not entry.slices:
        message.crc32c = mask(entry.crc32c)
    return bytes(message.SerializeToString(deterministic=True))


@given(
    st.builds(
        BundleEntry,
        st.integers(0, 200),
        st.lists(NUMBERS, max_size=4).map(tuple),
        st.integers(-(2**31), 2**31 - 1),
        NUMBERS,
        NUMBERS,
        st.one_of(st.integers(0, 2**32 - 1), st.just(unmask(0))),
        st.lists(st.lists(EXTENTS, max_size=3).map(tuple), max_size=2).map(tuple),
    )
)
def test_the_bytes_are_those_of_protobuf(entry: BundleEntry) -> None:
    assert entry.encode() == by_protobuf(entry)
