"""One open V1 file: its index and its header in memory, all other blocks on request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cloudckpt.bundle.table_reader import MAX_GROWTH, TableReader
from cloudckpt.bundle.v1_header import V1Tensor, decode_header
from cloudckpt.bundle.v1_values import VALUE_LISTS, least_bytes
from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.errors import CheckpointDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudckpt.storage.store import ObjectInfo, Store

__all__ = ["V1File", "open_file", "open_side_by_side"]

TAIL_BYTES = 64 << 10
"""What is read of a file's end at once: the footer and, unless there are thousands of blocks, the index."""


@dataclass(frozen=True, slots=True)
class V1File:
    """One version of one file."""

    store: Store
    info: ObjectInfo
    table: TableReader
    tensors: dict[str, V1Tensor]
    """those that have slices here; `stored` has only these slices"""

    @property
    def url(self) -> str:
        """Its URL or path, as a person would write it."""
        return self.store.url(self.info.key)

    def read(self, start: int, stop: int) -> bytearray:
        """Its bytes from `start` to `stop`, of exactly this version. One request."""
        return _read(self.store, self.info, start, stop)


def open_file(store: Store, info: ObjectInfo) -> V1File:
    """Read the end of a V1 file and its first block: two requests, one for a file of at most 64 KiB.

    Raises:
        CheckpointDamagedError: it is damaged, or no V1 file at all.
        CheckpointVersionError: a newer program wrote it.
        ObjectChangedError: it was replaced meanwhile.
        StorageError: the store failed.
    """
    path = store.url(info.key)
    tail_start = max(0, info.size - TAIL_BYTES)
    tail = _read(store, info, tail_start, info.size)

    def read(start: int, stop: int) -> bytearray:
        if start >= tail_start:
            return tail[start - tail_start : stop - tail_start]
        return _read(store, info, start, stop)

    table = TableReader(read, info.size, path)
    first = table.block(0)[:1] if table.block_count else []
    if not first or first[0][0] != b"":
        raise CheckpointDamagedError(
            f"{path} is no V1 checkpoint: it has no header. If it is the index of a checkpoint, pass that checkpoint's "
            "prefix; else restore another checkpoint.",
            path=path,
        )
    tensors = decode_header(first[0][1], path)
    _check_claims(tensors, info.size, path)
    return V1File(store, info, table, tensors)


def open_side_by_side(
    found: Sequence[ObjectInfo], open_one: Callable[[ObjectInfo], V1File | None], *, threads: int
) -> list[V1File]:
    """Open files, `threads` at a time, and return in the same order those that `open_one` could open.

    Raises: what `open_one` raises.
    """
    opened: dict[int, V1File] = {}

    def open_numbered(number: int, info: ObjectInfo) -> None:
        if (file := open_one(info)) is not None:
            opened[number] = file

    tasks = (partial(open_numbered, number, info) for number, info in enumerate(found))
    run_side_by_side(tasks, threads=threads)
    return [opened[number] for number in sorted(opened)]


def _read(store: Store, info: ObjectInfo, start: int, stop: int) -> bytearray:
    data = bytearray(stop - start)
    store.read(info.key, start, [memoryview(data)], info.version)
    return data


def _check_claims(tensors: dict[str, V1Tensor], size: int, path: str) -> None:
    """See that a file of this size can hold as many elements as its header claims, before any memory is taken."""
    claimed = sum(
        tensor.stored_elements * least_bytes(tensor.dtype) for tensor in tensors.values() if tensor.dtype in VALUE_LISTS
    )
    if claimed > MAX_GROWTH * size:
        raise CheckpointDamagedError(
            f"{path}: its header claims tensors of {claimed} bytes or more, which a file of {size} bytes can't hold. "
            "Restore another checkpoint.",
            path=path,
        )
