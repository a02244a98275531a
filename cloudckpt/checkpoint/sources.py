"""The bytes of one tensor as they will stand in a data file, read in pieces and copied only where they must be.

A C-contiguous array is its own source, since its memory is what the file gets; of perhaps a million tensors most are
such. What is not laid out as the file wants it is a `TensorSource`, which makes the bytes in blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cloudckpt.variables import dtypes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["BLOCK_BYTES", "BlockSource", "Source", "TensorSource", "blocks_of", "bytes_of", "numeric_source"]

BLOCK_BYTES = 4 << 20
"""What is copied at once of a tensor whose memory is not laid out as the file wants it."""


class TensorSource(Protocol):
    """One tensor, ready to be laid out: its type, its size, and any range of its bytes on request."""

    @property
    def dtype(self) -> np.dtype:
        """NumPy's; object for strings."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes in the data file."""
        ...

    @property
    def header_size(self) -> int:
        """How many of the first bytes (a string tensor's lengths) the entry's checksum covers in another form."""
        ...

    @property
    def header_crc32c(self) -> int:
        """The entry's checksum over those."""
        ...

    def read(self, start: int, stop: int) -> Sequence[memoryview]:
        """The bytes from `start` to `stop`, or to its end if that comes before; no view crosses the end of the header.

        Safe from any thread.
        """
        ...


Source = np.ndarray[Any, Any] | TensorSource


def bytes_of(array: NDArray[Any]) -> memoryview:
    """The memory of a C-contiguous array."""
    if array.dtype.isbuiltin == 1 and array.size:
        return array.data.cast("B")
    # What ml_dtypes adds has no buffer of its own, and what is empty can't be cast.
    return array.reshape(-1).view(np.uint8).data


class BlockSource:
    """A tensor in blocks that are made when they are read, so that never more than a few of them exist."""

    def __init__(
        self,
        dtype: np.dtype,
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
        self.nbytes = self._ends[-1] if self._ends else 0
        self._make = make

    def read(self, start: int, stop: int) -> Sequence[memoryview]:
        """See `TensorSource.read`."""
        views = []
        block = bisect_right(self._ends, start)
        stop = min(stop, self.nbytes)
        while start < stop:
            begin, end = self._ends[block - 1] if block else 0, self._ends[block]
            if end > start:
                views.append(self._make(block)[start - begin : min(stop, end) - begin])
                start = min(stop, end)
            block += 1
        return views


def numeric_source(array: NDArray[Any]) -> Source:
    """The source of an array of one of TensorFlow's fixed-size dtypes: if it is C-contiguous, the array itself.

    Raises:
        TypeError: TensorFlow has no such dtype.
    """
    dtypes.from_numpy(array.dtype)
    if array.flags.c_contiguous:
        return array
    blocks = list(blocks_of(array))

    def make(block: int) -> memoryview:
        return bytes_of(np.ascontiguousarray(blocks[block]))

    return BlockSource(array.dtype, array.shape, [block.nbytes for block in blocks], make)


def blocks_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
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
            yield from blocks_of(array[row])
