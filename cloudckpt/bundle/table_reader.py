"""Reads a table that anyone may have written: what it says is believed only as far as its bytes bear it out."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from operator import lt
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import cramjam

from cloudckpt.bundle.block import decode_block
from cloudckpt.bundle.table import FOOTER_SIZE, HANDLES_SIZE, MAGIC, SNAPPY, TRAILER, UNCOMPRESSED
from cloudckpt.bundle.varint import decode_varint
from cloudckpt.checksums import crc32c, unmask
from cloudckpt.errors import CheckpointDamagedError, ChecksumMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

__all__ = ["MAX_GROWTH", "TableReader", "decode_blocks"]

_VARINT_SIZE = 10
MAX_GROWTH = 22
"""How many times its own size a block may unpack to: the densest element of a snappy stream is a copy of 64 bytes, told
in 3, so that no stream grows by more."""


class _Handle(NamedTuple):
    """Where a block is: its trailer follows it."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size + TRAILER.size


class _DataBlock(NamedTuple):
    """A data block, and the key that the index has for it: not below its last key, and below the next block's first."""

    separator: bytes
    handle: _Handle


def decode_blocks(data: Buffer, path: str) -> Iterator[list[tuple[bytes, bytes]]]:
    """All keys and values, in strictly ascending order of the keys, a data block at a time.

    Every block is checked against its checksum, also the metaindex, which holds nothing. Memory is bounded by a small
    multiple of the data, whatever the data says.

    Args:
        data: the whole file.
        path: the file's, for messages.

    Raises:
        ChecksumMismatchError: a block is not as it was written.
        CheckpointDamagedError: it is cut short, or no table.
    """
    view = memoryview(data).cast("B")
    table = TableReader(lambda start, stop: view[start:stop], len(view), path)
    return map(table.block, range(table.block_count))


class TableReader:
    """Reads footer, metaindex and index at once, and data blocks one by one; each is checked when it is read.

    Args:
        read: gives the bytes of the file from `start` to `stop`.
        size: the file's, in bytes.
        path: the file's, for messages.

    Raises:
        ChecksumMismatchError: the metaindex or the index is not as it was written.
        CheckpointDamagedError: the file is cut short, or no table.
    """

    def __init__(self, read: Callable[[int, int], Buffer], size: int, path: str) -> None:
        self._read = read
        self._size = size
        self._path = path
        self._blocks_end = size - FOOTER_SIZE
        metaindex, index = self._footer()
        if self._entries(metaindex):
            self._damaged("its metaindex is not empty")
        self._blocks = [_DataBlock(separator, self._block_handle(value)) for separator, value in self._entries(index)]
        # Blocks that overlap could make a small file unpack to any size.
        if any(block.handle.end > following.handle.offset for block, following in pairwise(self._blocks)):
            self._damaged("its index lists blocks that overlap")

    @property
    def block_count(self) -> int:
        """How many data blocks there are."""
        return len(self._blocks)

    def find(self, key: bytes) -> int | None:
        """The number of the only block that may have the key; None if none has."""
        number = bisect_left(self._blocks, key, key=lambda block: block.separator)
        return number if number < len(self._blocks) else None

    def extent(self, number: int) -> tuple[int, int]:
        """Where a data block starts and stops in the file, with its trailer."""
        handle = self._blocks[number].handle
        return handle.offset, handle.end

    def block(self, number: int, data: Buffer | None = None) -> list[tuple[bytes, bytes]]:
        """The keys and values of a data block, in order.

        Args:
            number: which one, counted from 0.
            data: the bytes of its extent, if they were read already.

        Raises:
            ChecksumMismatchError: it is not as it was written.
            CheckpointDamagedError: it is no block, or its keys are not in order or not those that the index says.
        """
        separator, handle = self._blocks[number]
        entries = self._entries(handle, data)
        keys = [self._blocks[number - 1].separator] if number else []
        keys += [key for key, _ in entries]
        if not all(map(lt, keys, keys[1:])):
            self._damaged("its keys are not in order")
        if entries and keys[-1] > separator:
            self._damaged("its index and its blocks disagree")
        return entries

    def _footer(self) -> tuple[_Handle, _Handle]:
        if self._blocks_end < 0:
            self._no_table(f"it has {self._size} bytes, fewer than a footer alone")
        footer = bytes(self._read(self._blocks_end, self._size))
        if footer[HANDLES_SIZE:] != MAGIC:
            self._no_table("it does not end as a table does")
        metaindex, position = self._handle(footer, 0)
        index, position = self._handle(footer, position)
        if any(footer[position:HANDLES_SIZE]):
            self._damaged("its footer's padding is not zero")
        return metaindex, index

    def _block_handle(self, data: bytes) -> _Handle:
        handle, end = self._handle(data, 0)
        if end != len(data):
            self._damaged("the position of a block can't be read")
        return handle

    def _handle(self, data: bytes, position: int) -> tuple[_Handle, int]:
        try:
            offset, position = decode_varint(data, position)
            size, position = decode_varint(data, position)
        except (IndexError, ValueError) as error:
            self._damaged("the position of a block can't be read", error)
        handle = _Handle(offset, size)
        if handle.end > self._blocks_end:
            self._damaged(f"a block would end at byte {handle.end} of {self._blocks_end}")
        return handle, position

    def _entries(self, handle: _Handle, data: Buffer | None = None) -> list[tuple[bytes, bytes]]:
        view = memoryview(self._read(handle.offset, handle.end) if data is None else data)
        compression, masked_crc = TRAILER.unpack_from(view, handle.size)
        computed, stored = crc32c(view[: handle.size + 1]), unmask(masked_crc)
        if computed != stored:
            raise ChecksumMismatchError(
                f"{self._path}: the block at byte {handle.offset} has CRC-32C {computed:#010x}, but "
                f"{stored:#010x} was written. The file was altered after it was saved: restore another checkpoint.",
                path=self._path,
            )
        try:
            return decode_block(_decompress(view[: handle.size], compression), stored_size=handle.size)
        except ValueError as error:
            self._damaged(str(error), error)

    def _no_table(self, found: str) -> NoReturn:
        raise CheckpointDamagedError(
            f"{self._path} is no index of a checkpoint, and no V1 checkpoint: {found}. It was cut short, or is another "
            "kind of file: check the path, or restore another checkpoint.",
            path=self._path,
        )

    def _damaged(self, found: str, cause: Exception | None = None) -> NoReturn:
        raise CheckpointDamagedError(
            f"{self._path} can't be read as a table of a checkpoint: {found}. Restore another checkpoint.",
            path=self._path,
        ) from cause


def _decompress(block: memoryview, compression: int) -> bytes:
    if compression == UNCOMPRESSED:
        return bytes(block)
    if compression != SNAPPY:
        raise ValueError(f"a block is compressed in an unknown way, {compression}")
    try:
        size, _ = decode_varint(bytes(block[:_VARINT_SIZE]), 0)
    except IndexError:
        raise ValueError("a compressed block does not say how large it is") from None
    if size > MAX_GROWTH * len(block):
        raise ValueError(f"a compressed block of {len(block)} bytes claims to unpack to {size}")
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise ValueError(f"a compressed block can't be unpacked: {error}") from error
