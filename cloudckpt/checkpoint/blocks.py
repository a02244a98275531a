"""A region of a stored piece as blocks of neighbouring bytes: the geometry of reading no more than is needed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudckpt.variables.tensor_slice import Region

__all__ = ["Block", "cut_blocks"]


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of a piece that are read together, and the wanted elements among them."""

    start: int
    """bytes from the beginning of the piece; the first wanted element is there"""
    stop: int
    shape: tuple[int, ...]
    """of the wanted elements"""
    strides: tuple[int, ...]
    """bytes between them, along each of these dimensions"""
    index: tuple[int | slice, ...]
    """where they belong in an array of the region's shape"""


def cut_blocks(shape: Sequence[int], region: Region, item_size: int, *, limit: int, gap: int) -> Iterator[Block]:
    """Cut a region out of a C-contiguous piece, in the order of the bytes; none if it is empty.

    Rows between which no more than `gap` unwanted bytes stand are read together, those included; others apart.

    Args:
        shape: the piece's.
        region: the wanted part of it.
        item_size: bytes an element.
        limit: bytes that a block has at most.
        gap: bytes.
    """
    if any(not length for _, length in region):
        return
    if not shape:
        shape, region = (1,), ((0, 1),)
    pitches = tuple(item_size * prod(shape[axis + 1 :]) for axis in range(len(shape)))
    axis, rows, extent = _rows_together(pitches, region, item_size, limit=limit, gap=gap)
    inner = tuple(length for _, length in region[axis + 1 :])
    inner_start = sum(start * pitch for (start, _), pitch in zip(region[axis + 1 :], pitches[axis + 1 :], strict=True))
    first, length = region[axis]
    for outer in product(*(range(count) for _, count in region[:axis])):
        outer_start = inner_start + sum(
            (start + position) * pitch for (start, _), position, pitch in zip(region, outer, pitches, strict=False)
        )
        for row in range(0, length, rows):
            count = min(rows, length - row)
            begin = outer_start + (first + row) * pitches[axis]
            yield Block(
                start=begin,
                stop=begin + (count - 1) * pitches[axis] + extent,
                shape=(count, *inner),
                strides=pitches[axis:],
                index=(*outer, slice(row, row + count)),
            )


def _rows_together(
    pitches: Sequence[int], region: Region, item_size: int, *, limit: int, gap: int
) -> tuple[int, int, int]:
    """The dimension whose rows make up the blocks, how many of them a block has, and the bytes wanted of each.

    From the innermost dimension outwards, rows are joined to one run of bytes as long as that is no longer than the
    limit and has no long gaps.
    """
    extent = item_size
    for axis in range(len(pitches) - 1, -1, -1):
        length, pitch = region[axis][1], pitches[axis]
        together = (length - 1) * pitch + extent
        if length > 1 and pitch - extent > gap:
            return axis, 1, extent
        if together > limit or axis == 0:
            most = max(1, (limit - extent) // pitch + 1)
            blocks = -(-length // most)
            return axis, -(-length // blocks), extent
        extent = together
    raise AssertionError("a piece has dimensions")
