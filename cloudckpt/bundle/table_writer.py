"""Writes a table exactly as TensorFlow does, byte for byte.

Source: core/lib/io/table_builder.cc, with the options of the V2 bundle: blocks of 256 KiB, not compressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.bundle.block import BlockBuilder, shared_prefix_length
from cloudckpt.bundle.table import HANDLES_SIZE, MAGIC, TRAILER, UNCOMPRESSED
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import crc32c, mask

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["encode_table"]

_BLOCK_SIZE = 256 * 1024
_RESTART_INTERVAL = 16
_INDEX_RESTART_INTERVAL = 1


def encode_table(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole table; it is held in memory once.

    Args:
        entries: keys and values, in strictly ascending order of the keys.
    """
    writer = _TableWriter()
    for key, value in entries:
        writer.add(key, value)
    return writer.finish()


class _TableWriter:
    def __init__(self) -> None:
        self._table = bytearray()
        self._data_block = BlockBuilder(_RESTART_INTERVAL)
        self._index_block = BlockBuilder(_INDEX_RESTART_INTERVAL)
        self._last_key = b""
        self._pending_handle: bytes | None = None

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

    def finish(self) -> bytes:
        self._flush()
        metaindex_handle = self._write(BlockBuilder(_RESTART_INTERVAL))
        if self._pending_handle is not None:
            self._index_block.add(_short_successor(self._last_key), self._pending_handle)
        index_handle = self._write(self._index_block)
        self._table += (metaindex_handle + index_handle).ljust(HANDLES_SIZE, b"\0") + MAGIC
        return bytes(self._table)

    def _flush(self) -> None:
        if not self._data_block.is_empty:
            self._pending_handle = self._write(self._data_block)
            self._data_block = BlockBuilder(_RESTART_INTERVAL)

    def _write(self, builder: BlockBuilder) -> bytes:
        """Append the block with its trailer, and return where it is."""
        block = builder.finish()
        handle = encode_varint(len(self._table)) + encode_varint(len(block))
        crc = crc32c(bytes([UNCOMPRESSED]), crc32c(block))
        self._table += block
        self._table += TRAILER.pack(UNCOMPRESSED, mask(crc))
        return handle


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
