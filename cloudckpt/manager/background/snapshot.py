"""Snapshots of arrays that their owner goes on writing to: one copy, into memory that is used again."""

from __future__ import annotations

import os
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.sources import BLOCK_BYTES, blocks_of
from cloudckpt.storage.side_by_side import run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    Copy = tuple[NDArray[Any], NDArray[Any]]
    """where to, and from where; both of one shape and dtype"""

__all__ = ["SnapshotBuffers"]

ALIGNMENT = 64
"""A cache line, and what the widest instructions like."""
THREADS = 8
"""More than these find no memory bandwidth that is left."""
BYTES_PER_THREAD = 32 << 20
"""Less is copied sooner than another thread has begun."""
SPARE = 8
"""What is allocated is an eighth more than is needed, so that a state that grows a little stays in touched pages."""


class SnapshotBuffers:
    """The memory of one snapshot at a time, kept for the next: pages that were touched before cost a tenth.

    It never shrinks. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._arena = np.empty(0, np.uint8)

    def take(self, tensors: Mapping[str, NDArray[Any]], frozen: Container[str] = ()) -> dict[str, NDArray[Any]]:
        """Arrays that nobody writes to, of the same names, order, shapes, dtypes and elements; C-contiguous if copied.

        What the call before has returned is overwritten: nobody may read it any more.

        Args:
            tensors: arrays of any layout; strings as object arrays.
            frozen: names of those that nobody will write to, which are passed on as they are.

        Cost: one copy of what is not frozen, by as many threads as there are processors, up to 8. The first snapshot,
        and one that is larger than all before, allocates memory, an eighth more than it needs.
        """
        moved = {name: array for name, array in tensors.items() if name not in frozen and _has_bytes(array)}
        targets = dict(zip(moved, self._allocate(moved.values()), strict=True))
        total = sum(array.nbytes for array in moved.values())
        copies = ((targets[name], array) for name, array in moved.items())
        run_side_by_side(_batches(copies), threads=min(_processors(), THREADS, 1 + total // BYTES_PER_THREAD))
        return {
            name: targets[name] if name in moved else array if name in frozen else array.copy()
            for name, array in tensors.items()
        }

    def _allocate(self, arrays: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Arrays in the arena, as large as the given ones and like them."""
        arrays = list(arrays)
        ends = list(accumulate((-(-array.nbytes // ALIGNMENT) * ALIGNMENT for array in arrays), initial=0))
        if self._arena.size < ends[-1] + ALIGNMENT:
            self._arena = np.empty(0, np.uint8)  # free before more is taken
            self._arena = np.empty(ends[-1] + ends[-1] // SPARE + ALIGNMENT, np.uint8)  # NumPy asks for huge pages
        first = -self._arena.ctypes.data % ALIGNMENT
        for array, begin in zip(arrays, ends[:-1], strict=True):
            yield np.ndarray(array.shape, array.dtype, self._arena, first + begin)


def _has_bytes(array: NDArray[Any]) -> bool:
    """Whether an array is more than references to strings, or nothing."""
    return array.dtype.kind != "O" and array.nbytes > 0


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(copies: Iterable[Copy]) -> Iterator[Callable[[], None]]:
    """Tasks of about equal size: large arrays in blocks, small ones many at a time."""
    batch: list[Copy] = []
    size = 0
    for target, array in copies:
        for copy in zip(blocks_of(target), blocks_of(array), strict=True):
            batch.append(copy)
            size += copy[0].nbytes
            if size >= BLOCK_BYTES:
                yield partial(_copy, batch)
                batch, size = [], 0
    yield partial(_copy, batch)


def _copy(batch: list[Copy]) -> None:
    for target, array in batch:
        np.copyto(target, array)
