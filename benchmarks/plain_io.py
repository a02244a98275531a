"""The same bytes by plain system calls: no checksums, no index."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.measure import Plan

__all__ = ["system_calls"]

PIECE = 8 << 20
THREADS = 2


def system_calls(plan: Plan, *, fsync: bool) -> Contender:
    """One file by `pwrite` and `preadv`, two threads each, straight from and into the arrays."""

    def save(folder: Path) -> None:
        with (folder / "plain").open("wb", buffering=0) as file:
            side_by_side(lambda offset, piece: write(file.fileno(), offset, piece), plan.arrays)
            if fsync:
                os.fsync(file.fileno())

    def restore(folder: Path) -> dict[str, NDArray[Any]]:
        arrays = {name: np.empty_like(array) for name, array in plan.arrays.items()}
        with (folder / "plain").open("rb", buffering=0) as file:
            side_by_side(lambda offset, piece: read(file.fileno(), offset, piece), arrays)
        return arrays

    return Contender("pwrite, fsync; preadv" if fsync else "pwrite; preadv", save, restore, durable=fsync)


def side_by_side(move: Callable[[int, memoryview], None], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Move all pieces, each thread taking the next one that is left."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda piece: move(*piece), pieces(arrays)))


def pieces(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[int, memoryview]]:
    """The arrays' bytes in pieces, each with its offset in the file; none reaches over two arrays."""
    offset = 0
    for array in arrays.values():
        view = array.reshape(-1).view(np.uint8).data
        for start in range(0, len(view), PIECE):
            piece = view[start : start + PIECE]
            yield offset, piece
            offset += len(piece)


def write(descriptor: int, offset: int, piece: memoryview) -> None:
    """Write all of a piece."""
    while piece:
        count = os.pwrite(descriptor, piece, offset)
        offset, piece = offset + count, piece[count:]


def read(descriptor: int, offset: int, piece: memoryview) -> None:
    """Fill all of a piece."""
    while piece:
        count = os.preadv(descriptor, [piece], offset)
        if not count:
            raise EOFError(f"the file ends at {offset}")
        offset, piece = offset + count, piece[count:]
