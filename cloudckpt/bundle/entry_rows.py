"""The entries of many tensors in one data file, encoded together: what they have in common once, numbers in batches."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.bundle.entry_encoding import CRC32C, CRC32C_SIZE, OFFSET, SIZE
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import mask, unmask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["encode_entries"]

_BATCH = 4096
_VARINT_SHIFTS = np.arange(0, 64, 7, dtype=np.int64)
_ZERO = bytes(CRC32C_SIZE)
_LEFT_OUT = unmask(0)
"""A checksum that is zero once it is masked, which is not written."""


def encode_entries(
    shard_id: int,
    tensors: Iterable[tuple[int, tuple[int, ...], int]],
    offsets: NDArray[np.int64],
    crc32cs: NDArray[np.uint32],
) -> Iterator[bytes]:
    """The bytes of the entries, as `BundleEntry.encode` gives each.

    Args:
        shard_id: the data file's.
        tensors: dtype, shape and size (bytes) of each.
        offsets: in the data file, bytes.
        crc32cs: not masked.
    """
    batches = (_offset_fields(offsets[start : start + _BATCH]) for start in range(0, len(offsets), _BATCH))
    columns = zip(tensors, chain.from_iterable(batches), _crc32c_fields(crc32cs), strict=True)
    for (dtype, shape, size), offset_field, crc32c_field in columns:
        yield _head(dtype, shape, shard_id) + offset_field + _size_field(size) + crc32c_field


@lru_cache(1024)
def _head(dtype: int, shape: tuple[int, ...], shard_id: int) -> bytes:
    return BundleEntry(dtype, shape, shard_id, 0, 0, _LEFT_OUT).encode()


@lru_cache(1024)
def _size_field(size: int) -> bytes:
    return SIZE + encode_varint(size) if size else b""


def _offset_fields(offsets: NDArray[np.int64]) -> Iterator[bytes]:
    """Each offset's tag and varint; nothing for zero."""
    groups = offsets[:, np.newaxis] >> _VARINT_SHIFTS
    lengths = np.count_nonzero(groups, axis=1)
    continued = np.arange(len(_VARINT_SHIFTS)) < lengths[:, np.newaxis] - 1
    rows = np.empty((len(offsets), 1 + len(_VARINT_SHIFTS)), np.uint8)
    rows[:, 0] = ord(OFFSET)
    rows[:, 1:] = groups & 0x7F | continued * 0x80
    encoded, width = rows.tobytes(), rows.shape[1]
    for start, length in zip(range(0, len(encoded), width), lengths.tolist(), strict=True):
        yield encoded[start : start + 1 + length] if length else b""


def _crc32c_fields(crc32cs: NDArray[np.uint32]) -> Iterator[bytes]:
    """Each checksum's tag and masked value; nothing for zero."""
    masked = mask(crc32cs).astype("<u4").tobytes()
    for start in range(0, len(masked), CRC32C_SIZE):
        value = masked[start : start + CRC32C_SIZE]
        yield CRC32C + value if value != _ZERO else b""
