"""Bytes on their way back: neighbours in one request, several requests in flight."""

from __future__ import annotations

import threading
from array import array
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.checkpoint.parallel import MemoryLimit, run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloudckpt.checkpoint.string_target import StringTarget
    from cloudckpt.checkpoint.targets import PieceTarget, Target
    from cloudckpt.storage.store import ObjectInfo, Store

__all__ = ["FileParts", "Part", "range_size", "read_files"]

RANGE_BYTES = 32 << 20
"""What one request asks for at most, and less where the store says so."""
IN_ORDER_BYTES = 4 << 20
"""What one request asks for of a long tensor that is decoded on the way."""
GAP_BYTES = 64 << 10
"""Bytes between two wanted parts that are read and thrown away rather than asked around."""
MANY_PARTS = 64
"""Where so many parts arrive together, one thread at a time hands them out: more would only wait for each other."""


def range_size(store: Store) -> int:
    """How many neighbouring bytes are read at once, at most."""
    return min(RANGE_BYTES, store.range_size)


Part = tuple[int, int, int, int]
"""What is wanted of a data file: from which byte to which, the number of the target that takes it, and that of the part
there."""
PARTS_AT_ONCE = 1 << 14
"""How many parts are tuples at once; there may be millions."""


class FileParts:
    """What is wanted of one data file, and where it goes; of `limit` bytes at once."""

    def __init__(self, info: ObjectInfo, limit: int) -> None:
        self.info, self.limit = info, limit
        self.targets: list[Target] = []
        self.in_order: list[StringTarget] = []
        """long tensors that must be read from their first byte to their last"""
        self._numbers = array("q")

    def add_part(self, start: int, stop: int, target: int, number: int) -> None:
        """Want the bytes from `start` to `stop` for a target, which knows them by this number."""
        self._numbers.extend((start, stop, target, number))

    def parts(self) -> Iterator[Part]:
        """The parts that are wanted, in order of their first bytes."""
        table = np.frombuffer(self._numbers, np.int64).reshape(-1, 4)
        order = np.argsort(table[:, 0], kind="stable")
        for first in range(0, len(order), PARTS_AT_ONCE):
            yield from zip(*table[order[first : first + PARTS_AT_ONCE]].T.tolist(), strict=True)

    def add_target(self, target: Target) -> int:
        """The number of a new target."""
        self.targets.append(target)
        return len(self.targets) - 1

    def add_piece(self, target: PieceTarget) -> None:
        """Want what the target wants of its piece."""
        to = self.add_target(target)
        blocks = target.blocks(limit=self.limit, gap=GAP_BYTES)
        for number, (start, stop) in enumerate(blocks):
            self.add_part(start, stop, to, number)

    def add_strings(self, target: StringTarget) -> None:
        """Want all bytes of a piece of strings."""
        entry = target.entry
        if entry.size > self.limit:
            self.in_order.append(target)
        elif entry.size:
            self.add_part(entry.offset, entry.offset + entry.size, self.add_target(target), 0)


def read_files(store: Store, files: Iterable[FileParts]) -> None:
    """Bring all parts to their targets. Reads only the version of each file that `info` says.

    Memory beyond the targets': `COPIED_BYTES`.

    Raises:
        CheckpointDamagedError: a target refused what arrived.
        ObjectChangedError: a data file was replaced meanwhile.
        StorageError: the store failed.
    """
    run_side_by_side(_Fetcher(store).tasks(files), threads=store.max_concurrency)


class _Fetcher:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._copied = MemoryLimit()
        self._handing_out = threading.Lock()

    def tasks(self, files: Iterable[FileParts]) -> Iterator[Callable[[], None]]:
        for file in files:
            for target in file.in_order:
                yield partial(self._fetch_in_order, file.info, target)
            for start, stop, parts in _joined(file.parts(), file.limit):
                yield partial(self._fetch, file, start, stop, parts)

    def _fetch(self, file: FileParts, start: int, stop: int, parts: Sequence[Part]) -> None:
        """Read the bytes of a file from `start` to `stop`, and hand out the parts that they consist of."""
        own = [file.targets[to].memory(number) for _, _, to, number in parts]
        with self._scratch(stop - start - sum(len(memory) for memory in own if memory is not None)) as scratch:
            views, position, used = [], start, 0
            for (begin, end, _, _), memory in zip(parts, own, strict=True):
                if memory is not None:
                    views += [scratch[used : used + begin - position], memory]
                    used += begin - position
                    position = end
            views.append(scratch[used:])
            self._store.read(file.info.key, start, [view for view in views if view], file.info.version)
            with self._handing_out if len(parts) > MANY_PARTS else nullcontext():
                _hand_out(file.targets, start, parts, own, scratch)

    def _fetch_in_order(self, info: ObjectInfo, target: StringTarget) -> None:
        offset, size = target.entry.offset, target.entry.size
        for number, start in enumerate(range(0, size, IN_ORDER_BYTES)):
            with self._scratch(min(IN_ORDER_BYTES, size - start)) as data:
                self._store.read(info.key, offset + start, [data], info.version)
                target.arrived(number, data)

    @contextmanager
    def _scratch(self, size: int) -> Iterator[memoryview]:
        """So many bytes for the block, once there is memory for them."""
        with self._copied.taken(size):
            yield np.empty(size, np.uint8).data


def _hand_out(
    targets: Sequence[Target], start: int, parts: Sequence[Part], own: Sequence[memoryview | None], scratch: memoryview
) -> None:
    """Give the targets their parts of the bytes from `start` on; scratch has those that are not in their own memory."""
    for (begin, end, to, number), memory in zip(parts, own, strict=True):
        if memory is None:
            targets[to].arrived(number, scratch[begin - start : end - start])
        else:
            targets[to].arrived(number, memory)
            start += end - begin


def _joined(parts: Iterable[Part], limit: int) -> Iterator[tuple[int, int, list[Part]]]:
    """Neighbours joined as long as they are near each other and not too long together."""
    start = stop = 0
    joined: list[Part] = []
    for part in parts:
        begin, end = part[0], part[1]
        if joined and 0 <= begin - stop <= GAP_BYTES and end - start <= limit:
            joined.append(part)
        else:
            if joined:
                yield start, stop, joined
            start, joined = begin, [part]
        stop = end
    if joined:
        yield start, stop, joined
