"""Writes a table exactly as TensorFlow does; byte for byte where nothing is compressed, as in the V2 bundle.

Source: core/lib/io/table_builder.cc, with blocks of 256 KiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cramjam

from cloudckpt.bundle.block import BlockBuilder, shared_prefix_length
from cloudckpt.bundle.table import HANDLES_SIZE, MAGIC, SNAPPY, TRAILER, UNCOMPRESSED
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import crc32c, mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["encode_table", "table_chunks"]

_BLOCK_SIZE = 256 * 1024
_RESTART_INTERVAL = 16
_INDEX_RESTART_INTERVAL = 1


def encode_table(entries: Iterable[tuple[bytes, bytes]], *, compress: bool = False) -> bytes:
    """The whole table; what `table_chunks` gives, in one."""
    return b"".join(table_chunks(entries, compress=compress))


def table_chunks(entries: Iterable[tuple[bytes, bytes]], *, compress: bool = False) -> Iterator[bytes]:
    """The table's bytes in order, in chunks of about a block: no more than that, and the index, is held in memory.

    Args:
        entries: keys and values, in strictly ascending order of the keys.
        compress: whether blocks are compressed with snappy, each where that saves an eighth of it or more.
    """
    writer = _TableWriter(compress=compress)
    for key, value in entries:
        writer.add(key, value)
        if writer.chunks:
            yield from writer.take()
    writer.finish()
    yield from writer.take()


class _TableWriter:
    def __init__(self, *, compress: bool) -> None:
        self._compress = compress
        self.chunks: list[bytes] = []
        self._offset = 0
        self._data_block = BlockBuilder(_RESTART_INTERVAL)
        self._index_block = BlockBuilder(_INDEX_RESTART_INTERVAL)
        self._last_key = b""
        self._pending_handle: bytes | None = None

    def take(self) -> list[bytes]:
        """What was finished since the last call."""
        chunks, self.chunks = self.chunks, []
        return chunks

    def add(self, key: bytes, value: bytes) -> None:
        # An entry larger than two blocks gets one of its own.
        if len(key) + len(value) >= 2 * _BLOCK_SIZE:
            self._flush()
        # The index's key for a block waits for the next block's first key: one between the two can be shorter.
        if self._pending_handle is not None:
            self._index_block.add(_shortest_separator(self._last_key, key), self._pending_handle)
            self._pending_handle = None
        self._data_block.add(key, value)
        self._last_key = key
        if self._data_block.size >= _BLOCK_SIZE:
            self._flush()

    def finish(self) -> None:
        self._flush()
        metaindex_handle = self._write(BlockBuilder(_RESTART_INTERVAL))
        if self._pending_handle is not None:
            self._index_block.add(_short_successor(self._last_key), self._pending_handle)
        index_handle = self._write(self._index_block)
        self.chunks.append((metaindex_handle + index_handle).ljust(HANDLES_SIZE, b"\0") + MAGIC)

    def _flush(self) -> None:
        if not self._data_block.is_empty:
            self._pending_handle = self._write(self._data_block)
            self._data_block = BlockBuilder(_RESTART_INTERVAL)

    def _write(self, builder: BlockBuilder) -> bytes:
        """Append the block with its trailer, and return where it is."""
        block, compression = self._compressed(builder.finish())
        handle = encode_varint(self._offset) + encode_varint(len(block))
        crc = crc32c(bytes([compression]), crc32c(block))
        self.chunks += [block, TRAILER.pack(compression, mask(crc))]
        self._offset += len(block) + TRAILER.size
        return handle

    def _compressed(self, block: bytes) -> tuple[bytes, int]:
        if self._compress:
            smaller = bytes(cramjam.snappy.compress_raw(block))
            if len(smaller) < len(block) - len(block) // 8:
                return smaller, SNAPPY
        return block, UNCOMPRESSED


def _shortest_separator(key: bytes, following: bytes) -> bytes:
    """A key that is not below `key` and is below `following`, as short as TensorFlow makes it."""
    shared = shared_prefix_length(key, following)
    if shared == min(len(key), len(following)):
        return key
    if key[shared] + 1 < following[shared]:
        return key[:shared] + bytes([key[shared] + 1])
    return key


def _short_successor(key: bytes) -> bytes:
    """A short key that is not below `key`."""
    for position, byte in enumerate(key):
        if byte != 0xFF:
            return key[:position] + bytes([byte + 1])
    return key
