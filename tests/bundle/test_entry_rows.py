"""Entries that are encoded together: the same bytes as each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle import entry_rows
from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.bundle.entry_rows import encode_entries
from cloudckpt.checksums import unmask
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    import pytest

sizes = st.integers(0, 2**63 - 1) | st.sampled_from([0, 1, 127, 128, 2**14, 2**35 - 1, 2**56])
entries = st.builds(
    BundleEntry,
    dtype=st.sampled_from(DataType),
    shape=st.lists(st.integers(0, 2**40), max_size=3).map(tuple),
    shard_id=st.just(0),
    offset=sizes,
    size=sizes,
    crc32c=st.integers(0, 2**32 - 1) | st.just(unmask(0)),
)


def encoded(entries: list[BundleEntry], shard_id: int) -> list[bytes]:
    tensors = [(entry.dtype, entry.shape, entry.size) for entry in entries]
    offsets = np.array([entry.offset for entry in entries], np.int64)
    return [*encode_entries(shard_id, tensors, offsets, np.array([entry.crc32c for entry in entries], np.uint32))]


@given(st.lists(entries, max_size=8), st.sampled_from([0, 1, 99_999]))
def test_each_entry_has_the_bytes_that_it_has_alone(entries: list[BundleEntry], shard_id: int) -> None:
    assert encoded(entries, shard_id) == [entry._replace(shard_id=shard_id).encode() for entry in entries]


def test_batches_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_rows, "_BATCH", 3)
    entries = [BundleEntry(DataType.FLOAT, (number,), 7, 1000 * number, 4 * number, number) for number in range(10)]
    assert encoded(entries, 7) == [entry.encode() for entry in entries]
