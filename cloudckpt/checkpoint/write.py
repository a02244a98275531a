"""Data files on their way to a store: each byte read once, checked once, sent once."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.checksums import combine, crc32c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloudckpt.checkpoint.plan import PlannedTensor, ShardPlan
    from cloudckpt.storage.store import ObjectInfo, Upload

__all__ = ["ShardWriter", "write_shards"]

SMALL_BYTES = 64 << 10
"""Pieces smaller than this are joined before they are sent: one copy costs less than one system call each."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one part has of one tensor (or of the padding before it), still in the user's memory where it can be."""

    tensor: PlannedTensor | None
    start: int
    """offset in the tensor, bytes"""
    view: memoryview
    crc32c: int


class ShardWriter:
    """One data file: cuts the plan into the upload's parts, and puts the checksums together again."""

    def __init__(self, plan: ShardPlan, upload: Upload) -> None:
        self._plan = plan
        self._upload = upload
        self._offsets = [tensor.offset for tensor in plan.tensors]
        self._parts: dict[int, tuple[int, int]] = {}
        self._pieces: dict[str, list[tuple[int, int, int]]] = {tensor.name: [] for tensor in plan.tensors}

    def part_tasks(self) -> Iterator[Callable[[], None]]:
        """One task a part, in order of their offsets."""
        for offset in range(0, self._plan.size, self._upload.part_size):
            yield partial(self._write_part, offset)

    def complete(self) -> ObjectInfo:
        """Make the data file visible, once every part has been written."""
        total = 0
        for offset in sorted(self._parts):
            checksum, size = self._parts[offset]
            total = combine(total, checksum, size)
        return self._upload.complete(total)

    def entries(self, shard_id: int) -> dict[str, BundleEntry]:
        """The index entries of its tensors, by name, once every part has been written."""
        return {
            tensor.name: BundleEntry(
                dtype=tensor.source.dtype,
                shape=tensor.source.shape,
                shard_id=shard_id,
                offset=tensor.offset,
                size=tensor.source.size,
                crc32c=self._tensor_crc32c(tensor),
            )
            for tensor in self._plan.tensors
        }

    def _write_part(self, offset: int) -> None:
        stop = min(offset + self._upload.part_size, self._plan.size)
        pieces = list(self._read(offset, stop))
        checksum = 0
        for piece in pieces:
            checksum = combine(checksum, piece.crc32c, len(piece.view))
            if piece.tensor is not None:
                self._pieces[piece.tensor.name].append((piece.start, len(piece.view), piece.crc32c))
        self._upload.write(offset, list(_join_small(pieces)), checksum)
        self._parts[offset] = checksum, stop - offset

    def _read(self, offset: int, stop: int) -> Iterator[Piece]:
        """The pieces of the file from `offset` to `stop`, with their checksums."""
        tensors = self._plan.tensors
        for tensor in tensors[max(bisect_right(self._offsets, offset) - 1, 0) :]:
            gap_end = min(tensor.offset, stop)
            if gap_end > offset:
                zeros = memoryview(bytes(gap_end - offset))
                yield Piece(None, 0, zeros, crc32c(zeros))
                offset = gap_end
            if offset >= stop:
                return
            start = offset - tensor.offset
            for view in tensor.source.read(start, min(stop, tensor.end) - tensor.offset):
                yield Piece(tensor, start, view, crc32c(view))
                start += len(view)
            offset = max(offset, min(stop, tensor.end))

    def _tensor_crc32c(self, tensor: PlannedTensor) -> int:
        checksum = tensor.source.header_crc32c
        for start, size, piece in sorted(self._pieces[tensor.name]):
            if start >= tensor.source.header_size:
                checksum = combine(checksum, piece, size)
        return checksum


def _join_small(pieces: Iterable[Piece]) -> Iterator[memoryview]:
    for small, group in groupby(pieces, key=lambda piece: len(piece.view) < SMALL_BYTES):
        if small:
            yield memoryview(b"".join(piece.view for piece in group))
        else:
            yield from (piece.view for piece in group)


def write_shards(writers: Sequence[ShardWriter], *, threads: int, parallel_parts: bool) -> None:
    """Send all parts of all data files; what a store takes only in order is sent in order, file beside file."""
    if parallel_parts:
        tasks: Iterable[Callable[[], None]] = (task for writer in writers for task in writer.part_tasks())
    else:
        tasks = [partial(_in_order, writer) for writer in writers]
    run_side_by_side(tasks, threads=threads)


def _in_order(writer: ShardWriter) -> None:
    for task in writer.part_tasks():
        task()
