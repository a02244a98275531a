"""The bytes of one tensor as they will stand in a data file, read in pieces and copied only where they must be."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cloudckpt.variables import dtypes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType

__all__ = ["BLOCK_BYTES", "BlockSource", "TensorSource", "numeric_source"]

BLOCK_BYTES = 4 << 20
"""What is copied at once of a tensor whose memory is not laid out as the file wants it."""


class TensorSource(Protocol):
    """One tensor, ready to be laid out: its type, its size, and any range of its bytes on request."""

    dtype: DataType
    shape: tuple[int, ...]
    size: int
    """bytes in the data file"""
    header_size: int
    """How many of the first bytes (a string tensor's lengths) the entry's checksum covers in another form."""
    header_crc32c: int
    """The entry's checksum over those."""

    def read(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes from `start` to `stop`, in order; no view crosses the end of the header. Safe from any thread."""
        ...


class ContiguousSource:
    """A C-contiguous array: every range is a view of the user's own memory."""

    header_size = 0
    header_crc32c = 0

    def __init__(self, array: NDArray[np.generic], dtype: DataType) -> None:
        self.dtype = dtype
        self.shape = array.shape
        self.size = array.nbytes
        self._bytes = array.reshape(-1).view(np.uint8).data

    def read(self, start: int, stop: int) -> Iterator[memoryview]:
        """See `TensorSource.read`."""
        yield self._bytes[start:stop]


class BlockSource:
    """A tensor in blocks that are made when they are read, so that never more than a few of them exist."""

    def __init__(
        self,
        dtype: DataType,
        shape: tuple[int, ...],
        sizes: Sequence[int],
        make: Callable[[int], memoryview],
        *,
        header_size: int = 0,
        header_crc32c: int = 0,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.header_size = header_size
        self.header_crc32c = header_crc32c
        self._ends = list(accumulate(sizes))
        self.size = self._ends[-1] if self._ends else 0
        self._make = make

    def read(self, start: int, stop: int) -> Iterator[memoryview]:
        """See `TensorSource.read`."""
        block = bisect_right(self._ends, start)
        while start < stop:
            begin, end = self._ends[block - 1] if block else 0, self._ends[block]
            if end > start:
                yield self._make(block)[start - begin : min(stop, end) - begin]
                start = min(stop, end)
            block += 1


def numeric_source(array: NDArray[np.generic]) -> TensorSource:
    """The source of an array of one of TensorFlow's fixed-size dtypes.

    Raises:
        TypeError: TensorFlow has no such dtype.
    """
    dtype = dtypes.from_numpy(array.dtype)
    if array.flags.c_contiguous:
        return ContiguousSource(array, dtype)
    blocks = list(_blocks(array))

    def make(block: int) -> memoryview:
        return np.ascontiguousarray(blocks[block]).reshape(-1).view(np.uint8).data

    return BlockSource(dtype, array.shape, [block.nbytes for block in blocks], make)


def _blocks(array: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    """Views of the array in C order, each of at most `BLOCK_BYTES`."""
    if array.nbytes <= BLOCK_BYTES or not array.ndim:
        yield array
        return
    rows = BLOCK_BYTES // (array.nbytes // len(array))
    if rows:
        for row in range(0, len(array), rows):
            yield array[row : row + rows]
    else:
        for row in range(len(array)):
            yield from _blocks(array[row])
