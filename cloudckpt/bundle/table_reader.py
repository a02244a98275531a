"""Reads a table that anyone may have written: what it says is believed only as far as its bytes bear it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

import cramjam

from cloudckpt.bundle.block import decode_block
from cloudckpt.bundle.table import FOOTER_SIZE, HANDLES_SIZE, MAGIC, SNAPPY, TRAILER, UNCOMPRESSED
from cloudckpt.bundle.varint import decode_varint
from cloudckpt.checksums import crc32c, unmask
from cloudckpt.errors import CheckpointDamagedError, ChecksumMismatchError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["decode_table"]

# The densest element of a snappy stream is a copy of 64 bytes, told in 3: no stream grows by more than 64 / 3.
_SNAPPY_MAX_GROWTH = 22


class _Handle(NamedTuple):
    """Where a block is: its trailer follows it."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size + TRAILER.size


def decode_table(data: Buffer, path: str) -> list[tuple[bytes, bytes]]:
    """All keys and values, in strictly ascending order of the keys.

    Every block is checked against its checksum, also the metaindex, which holds nothing. Memory is bounded by a small
    multiple of the data, whatever the data says.

    Args:
        data: the whole file.
        path: the file's, for messages.

    Raises:
        ChecksumMismatchError: a block is not as it was written.
        CheckpointDamagedError: it is cut short, or no table.
    """
    return _TableReader(memoryview(data).cast("B"), path).entries()


class _TableReader:
    def __init__(self, data: memoryview, path: str) -> None:
        self._data = data
        self._path = path
        self._blocks_end = len(data) - FOOTER_SIZE

    def entries(self) -> list[tuple[bytes, bytes]]:
        metaindex, index = self._footer()
        if self._block(metaindex):
            self._damaged("its metaindex is not empty")
        entries: list[tuple[bytes, bytes]] = []
        last_key: bytes | None = None
        free_from = 0
        for separator, handle in self._block(index):
            block_handle, end = self._handle(handle, 0)
            # Blocks that overlap could make a small file unpack to any size.
            if end != len(handle) or block_handle.offset < free_from:
                self._damaged("its index lists blocks that overlap")
            free_from = block_handle.end
            block = self._block(block_handle)
            for key, _ in block:
                if last_key is not None and key <= last_key:
                    self._damaged("its keys are not in order")
                last_key = key
            entries += block
            if last_key is not None and last_key > separator:
                self._damaged("its index and its blocks disagree")
            last_key = separator if block else last_key
        return entries

    def _footer(self) -> tuple[_Handle, _Handle]:
        if self._blocks_end < 0:
            self._damaged(f"it has {len(self._data)} bytes, fewer than its footer alone")
        footer = bytes(self._data[self._blocks_end :])
        if footer[HANDLES_SIZE:] != MAGIC:
            self._damaged("it does not end as an index does: it was cut short, or is another kind of file")
        metaindex, position = self._handle(footer, 0)
        index, position = self._handle(footer, position)
        if any(footer[position:HANDLES_SIZE]):
            self._damaged("its footer's padding is not zero")
        return metaindex, index

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

    def _block(self, handle: _Handle) -> list[tuple[bytes, bytes]]:
        trailer = handle.offset + handle.size
        compression, masked_crc = TRAILER.unpack_from(self._data, trailer)
        computed, stored = crc32c(self._data[handle.offset : trailer + 1]), unmask(masked_crc)
        if computed != stored:
            raise ChecksumMismatchError(
                f"{self._path}: the block at byte {handle.offset} has CRC-32C {computed:#010x}, but "
                f"{stored:#010x} was written. The file was altered after it was saved: restore another checkpoint.",
                path=self._path,
            )
        try:
            return decode_block(_decompress(bytes(self._data[handle.offset : trailer]), compression))
        except ValueError as error:
            self._damaged(str(error), error)

    def _damaged(self, found: str, cause: Exception | None = None) -> NoReturn:
        raise CheckpointDamagedError(
            f"{self._path} can't be read as a checkpoint's index: {found}. Restore another checkpoint.",
            path=self._path,
        ) from cause


def _decompress(block: bytes, compression: int) -> bytes:
    if compression == UNCOMPRESSED:
        return block
    if compression != SNAPPY:
        raise ValueError(f"a block is compressed in an unknown way, {compression}")
    try:
        size, _ = decode_varint(block, 0)
    except IndexError:
        raise ValueError("a compressed block does not say how large it is") from None
    if size > _SNAPPY_MAX_GROWTH * len(block):
        raise ValueError(f"a compressed block of {len(block)} bytes claims to unpack to {size}")
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise ValueError(f"a compressed block can't be unpacked: {error}") from error
