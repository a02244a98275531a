"""Checkpoints with tensors stored in slices, put together by hand: nothing here goes through the code that saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import encode_index
from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checksums import combine, crc32c
from cloudckpt.storage.store import Always
from cloudckpt.variables.dtypes import DataType, from_numpy
from tests.bundle.whole_strings import encode_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from cloudckpt.storage.open import Location
    from cloudckpt.variables.tensor_slice import TensorSlice


class SlicedCheckpoint:
    """A checkpoint under construction; entries may be changed before it is put in its place.

    Args:
        shards: data files; pieces go to them by turns.
        gap: unwanted bytes before each piece.
        big_endian: the byte order of what is in them.
    """

    def __init__(self, *, shards: int = 1, gap: int = 0, big_endian: bool = False) -> None:
        self.header = BundleHeader(num_shards=shards, big_endian=big_endian)
        self.data = [bytearray() for _ in range(shards)]
        self.gap = gap
        self.entries: dict[str, BundleEntry] = {}
        self.slice_entries: dict[bytes, BundleEntry] = {}

    def add(self, name: str, array: np.ndarray, slices: Sequence[TensorSlice] = ()) -> None:
        """Add a tensor, whole or in slices that need not cover it."""
        if not slices:
            self.entries[name] = self._piece(array)
            return
        self.entries[name] = BundleEntry(from_numpy(array.dtype), array.shape, 0, 0, 0, 0, tuple(slices))
        for each in slices:
            self.slice_entries[encode_slice_key(name, each)] = self._piece(array[elements(each)])

    def put(self, prefix: Location) -> None:
        """Write the files."""
        files: Mapping[str, Any] = {
            data_filename(prefix.key, shard, len(self.data)): bytes(data) for shard, data in enumerate(self.data)
        }
        index = encode_index(self.header, self.entries, self.slice_entries)
        for key, content in (*files.items(), (index_filename(prefix.key), index)):
            prefix.store.put(key, content, Always(), crc32c=crc32c(content))

    def _piece(self, array: np.ndarray) -> BundleEntry:
        shard = (len(self.entries) + len(self.slice_entries)) % len(self.data)
        raw, checksum = self._encoded(array)
        self.data[shard] += bytes(self.gap)
        offset = len(self.data[shard])
        self.data[shard] += raw
        return BundleEntry(from_numpy(array.dtype), array.shape, shard, offset, len(raw), checksum)

    def _encoded(self, array: np.ndarray) -> tuple[bytes, int]:
        if from_numpy(array.dtype) == DataType.STRING:
            header, checksum = encode_lengths([len(string) for string in array.reshape(-1)])
            strings = b"".join(array.reshape(-1))
            return header + strings, combine(checksum, crc32c(strings), len(strings))
        raw = (array.byteswap() if self.header.big_endian else array).tobytes()
        return raw, crc32c(raw)


def elements(tensor_slice: TensorSlice) -> tuple[slice, ...]:
    """The slice as an index of NumPy's."""
    return tuple(slice(start, None if length is None else start + length) for start, length in tensor_slice)
