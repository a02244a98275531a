"""Data files on their way to a store: each byte read once, checked once, sent once."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.bundle.entry_rows import encode_entries
from cloudckpt.checkpoint.parallel import MemoryLimit, run_side_by_side
from cloudckpt.checkpoint.sources import bytes_of
from cloudckpt.checksums import combine, crc32c_function
from cloudckpt.variables.dtypes import from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloudckpt.checkpoint.entries import Entries
    from cloudckpt.checkpoint.plan import ShardPlan
    from cloudckpt.checkpoint.sources import Source, TensorSource
    from cloudckpt.storage.store import ObjectInfo, Upload

__all__ = ["ShardWriter", "write_shards"]

SMALL_BYTES = 64 << 10
"""Pieces smaller than this are joined before they are sent: one copy costs less than one system call each. And summing
them again into their part's checksum costs less than combining."""
JOINED_PIECES = 256
"""As many are joined at once: soon enough that they are still in the processor's cache, and that few views exist."""


class Part:
    """The bytes of one part as they are put together: views of the user's memory, small ones joined."""

    def __init__(self) -> None:
        self.size = 0
        self.crc32c = 0
        self._buffers: list[memoryview | bytes] = []
        self._small: list[memoryview] = []
        self._sum = crc32c_function()

    def add(self, view: memoryview) -> int:
        """Append a piece, and return its CRC-32C."""
        checksum, size = self._sum(view), len(view)
        if not size:
            return checksum
        self.size += size
        if size < SMALL_BYTES:
            self.crc32c = self._sum(view, self.crc32c)
            self._small.append(view)
            if len(self._small) == JOINED_PIECES:
                self.finish()
        else:
            self.crc32c = combine(self.crc32c, checksum, size)
            self.finish().append(view)
        return checksum

    def add_padding(self, size: int) -> None:
        """Append zeros."""
        self.add(memoryview(bytes(size)))

    def add_blocks(self, source: TensorSource, start: int, stop: int) -> int:
        """Append a tensor's bytes from `start` to `stop`, and return their CRC-32C as its entry counts them."""
        checksum = 0 if start else source.header_crc32c
        for view in source.read(start, stop):
            piece = self.add(view)
            if start >= source.header_size:
                checksum = combine(checksum, piece, len(view))
            start += len(view)
        return checksum

    def finish(self) -> list[memoryview | bytes]:
        """All its bytes."""
        if self._small:
            self._buffers.append(b"".join(self._small))
            self._small = []
        return self._buffers


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """What is kept of a part once it is sent: checksums, to be combined with those of the others in order."""

    crc32c: int
    size: int
    first: int
    """the tensor in whose middle it begins"""
    continued_crc32c: int
    """of that tensor's bytes in this part; 0 if it begins here, too"""


class ShardWriter:
    """One data file: cuts the plan into the upload's parts, and puts the checksums together again."""

    info: ObjectInfo | None = None
    """of the data file, once it is visible; also where only that is known, and not whether it will stay"""

    def __init__(self, plan: ShardPlan, upload: Upload) -> None:
        self._plan = plan
        self._upload = upload
        self._parts: dict[int, WrittenPart] = {}
        self._crc32cs = array("I", bytes(4 * len(plan.keys)))
        """of the tensors' bytes in the parts that they begin in; once it is complete, of all"""
        self._left, self._counting = max(1, -(-plan.size // upload.part_size)), threading.Lock()

    def part_tasks(self, memory: MemoryLimit) -> Iterator[Callable[[], None]]:
        """One task a part, in order of their offsets; the last to be done makes the data file visible."""
        for offset in range(0, self._plan.size, self._upload.part_size):
            yield partial(self._write_part, offset, memory)
        if not self._plan.size:
            yield self._complete

    def _complete(self) -> None:
        """Make the data file visible, once every part has been written."""
        total = 0
        for offset, part in sorted(self._parts.items()):
            total = combine(total, part.crc32c, part.size)
            source, begin = self._plan.sources[part.first], self._plan.offsets[part.first]
            if begin < offset:
                header_size = 0 if isinstance(source, np.ndarray) else source.header_size
                stop = min(begin + source.nbytes, offset + part.size)
                size = max(stop - max(offset, begin + header_size), 0)
                self._crc32cs[part.first] = combine(self._crc32cs[part.first], part.continued_crc32c, size)
        try:
            self.info = self._upload.complete(total)
        except BaseException:
            self.info = self._upload.unproved
            raise

    def add_entries(self, entries: Entries, shard_id: int) -> None:
        """Add the index entries of its tensors and slices, once it is complete."""
        plan = self._plan
        tensors = ((from_numpy(source.dtype), source.shape, source.nbytes) for source in plan.sources)
        offsets, crc32cs = np.asarray(plan.offsets, np.int64), np.asarray(self._crc32cs, np.uint32)
        entries.stored.update(zip(plan.keys, encode_entries(shard_id, tensors, offsets, crc32cs), strict=True))

    def _write_part(self, offset: int, memory: MemoryLimit) -> None:
        """Send the bytes of the file from `offset` on."""
        plan = self._plan
        stop = min(offset + self._upload.part_size, plan.size)
        first, last = bisect_right(plan.offsets, offset) - 1, bisect_left(plan.offsets, stop)
        copied = sum(source.nbytes for source in plan.sources[first:last] if _is_copied(source))
        with memory.taken(min(copied, stop - offset)):
            self._send(offset, stop, first, last)
            with self._counting:
                self._left -= 1
                is_last = not self._left
            if is_last:  # within the memory, as an upload may keep its last part until then
                self._complete()

    def _send(self, offset: int, stop: int, first: int, last: int) -> None:
        """Read, sum and send the bytes of one part, in which are those of the tensors from `first` to `last`."""
        plan, part, checksums = self._plan, Part(), array("I")
        for source, begin in zip(plan.sources[first:last], plan.offsets[first:last], strict=True):
            if (start := offset + part.size - begin) < 0:
                part.add_padding(-start)
                start = 0
            if isinstance(source, np.ndarray):
                checksums.append(part.add(bytes_of(source)[start : stop - begin]))
            else:
                checksums.append(part.add_blocks(source, start, stop - begin))
        part.add_padding(stop - offset - part.size)
        self._upload.write(offset, part.finish(), part.crc32c)
        continued = checksums.pop(0) if plan.offsets[first] < offset else 0
        self._crc32cs[last - len(checksums) : last] = checksums
        self._parts[offset] = WrittenPart(part.crc32c, stop - offset, first, continued)


def write_shards(writers: Sequence[ShardWriter], *, threads: int, parallel_parts: bool) -> None:
    """Write all data files, each visible as soon as it is whole.

    Parts go out side by side; to a store that takes them only in order they go in order, file beside file.
    """
    memory = MemoryLimit()
    if parallel_parts:
        tasks: Iterable[Callable[[], None]] = (task for writer in writers for task in writer.part_tasks(memory))
    else:
        tasks = [partial(_in_order, writer, memory) for writer in writers]
    run_side_by_side(tasks, threads=threads)


def _in_order(writer: ShardWriter, memory: MemoryLimit) -> None:
    for task in writer.part_tasks(memory):
        task()


def _is_copied(source: Source) -> bool:
    """Whether its bytes are not sent out of the user's memory."""
    return not isinstance(source, np.ndarray) or source.nbytes < SMALL_BYTES
