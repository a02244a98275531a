"""Files in memory: a store that holds what an input says, and tables whose checksums are right."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from cloudckpt.bundle.block import BlockBuilder
from cloudckpt.bundle.table import HANDLES_SIZE, MAGIC, SNAPPY, TRAILER, UNCOMPRESSED
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import crc32c, mask
from cloudckpt.storage.location import Location
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.store import Always

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["forge_table", "place_files"]


def place_files(files: Mapping[str, bytes], prefix: str) -> Location:
    """A location in a store of its own that has these files by their keys."""
    store = MemoryStore(SimpleNamespace(store={}))
    for key, content in files.items():
        store.put(key, content, Always(), crc32c=crc32c(content))
    return Location(store, prefix)


def forge_table(blocks: Sequence[bytes], index: Iterable[tuple[bytes, bytes]], *, compressed: int) -> bytes:
    """A table of any data blocks, each with its right checksum.

    Args:
        blocks: the content of each data block, compressed or not.
        index: keys and values of the index block; a value that is empty becomes the handle of the next data block.
        compressed: for each data block a bit, from the lowest: whether it says that it is compressed.
    """
    table = bytearray()
    handles = []
    for number, block in enumerate(blocks):
        handles.append(_append(table, block, SNAPPY if compressed >> number & 1 else UNCOMPRESSED))
    following = iter(handles)
    builder = BlockBuilder(1)
    for key, value in index:
        builder.add(key, value or next(following, b""))
    footer = _append(table, BlockBuilder(1).finish(), UNCOMPRESSED) + _append(table, builder.finish(), UNCOMPRESSED)
    return bytes(table) + footer.ljust(HANDLES_SIZE, b"\0") + MAGIC


def _append(table: bytearray, block: bytes, compression: int) -> bytes:
    handle = encode_varint(len(table)) + encode_varint(len(block))
    table += block
    table += TRAILER.pack(compression, mask(crc32c(bytes([compression]), crc32c(block))))
    return handle
