"""Where each tensor will stand: which data file, at which offset."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudckpt.checkpoint.sources import Source

__all__ = ["ShardPlan", "plan_shards"]


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """One data file: tensors and slices one after the other, zeros between them where they are aligned."""

    keys: Sequence[bytes]
    """of tensors and slices in the index"""
    sources: Sequence[Source]
    offsets: Sequence[int]
    """of each one's first byte, ascending"""

    @property
    def size(self) -> int:
        """Bytes in the data file."""
        return self.offsets[-1] + self.sources[-1].nbytes


def plan_shards(
    keys: Sequence[bytes], sources: Sequence[Source], *, alignment: int = 1, shards: int = 1
) -> list[ShardPlan]:
    """Lay tensors out in the order they come, over at most `shards` data files of about equal size.

    Args:
        keys: of tensors and slices in the index.
        sources: their bytes.
        alignment: offsets of tensors of at least so many bytes are multiples of it, for readers that map the file.
            With 1 the data file is the one that TensorFlow writes.
        shards: how many data files to spread them over. A tensor is never cut.
    """
    sizes = array("q", [source.nbytes for source in sources])
    return [
        ShardPlan(keys[start:stop], sources[start:stop], _offsets(sizes[start:stop], alignment))
        for start, stop in _spread(sizes, shards)
    ]


def _spread(sizes: Sequence[int], shards: int) -> Iterable[tuple[int, int]]:
    """The bounds of each data file's tensors: one is in the file in whose share of the bytes its middle lies."""
    ends = array("q", accumulate(sizes))
    total = ends[-1] if ends else 0
    starts = {
        bisect_left(range(len(sizes)), total * shard / shards, key=lambda tensor: ends[tensor] - sizes[tensor] / 2)
        for shard in range(1, shards)
    }
    return pairwise(sorted({0, *starts, len(sizes)}))


def _offsets(sizes: Sequence[int], alignment: int) -> Sequence[int]:
    offsets = array("q")
    end = 0
    for size in sizes:
        if size >= alignment:
            end += -end % alignment
        offsets.append(end)
        end += size
    return offsets
