"""Entries from their bytes, many at once: a message object for each would take several times as long.

Read by hand are entries in the usual form: of tensors that are not sliced and whose dtype has a fixed size, the fields
in the order of their numbers, as TensorFlow and this library write them. Protobuf reads all others, and those that
can't be true: it knows every form that a message may have, and `BundleEntry.decode` says what is wrong.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError

from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.bundle.entry_checks import tensor_bytes
from cloudckpt.bundle.entry_columns import EntryColumns, EntryHead
from cloudckpt.bundle.entry_encoding import CRC32C, CRC32C_SIZE, DTYPE, OFFSET, SHAPE, SHARD_ID, SIZE
from cloudckpt.bundle.lengths import read_varints
from cloudckpt.bundle.varint import decode_varint, encode_varint
from cloudckpt.checksums import unmask
from cloudckpt.descriptors import message_class
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["decode_entries"]

_SHAPE_START = 4
_LONGEST_OFFSET = 8
_LARGEST_SIZE = 1 << 62

_UNUSUAL = (None, b"\0", bytes(CRC32C_SIZE))


def decode_entries(names: Sequence[str], values: Sequence[bytes], *, path: str, num_shards: int) -> EntryColumns:
    """What `BundleEntry.decode` makes of each value, sooner; at least one.

    Raises:
        CheckpointDamagedError: as `BundleEntry.decode`, about the first value that makes no sense.
    """
    heads: list[EntryHead | None] = []
    varints: list[bytes] = []
    checksums: list[bytes] = []
    for value in values:
        head, varint, checksum = _take_apart(value, num_shards)
        heads.append(head)
        varints.append(varint)
        checksums.append(checksum)
    joined = b"".join(varints)
    offsets, end = read_varints(joined, len(varints), longest=_LONGEST_OFFSET)
    if end < len(joined):  # somewhere two numbers stand in the place of an offset
        heads = [None] * len(heads)
    found = [
        head or BundleEntry.decode(value, path=path, name=name, num_shards=num_shards)
        for head, name, value in zip(heads, names, values, strict=True)
    ]
    crc32cs = unmask(np.frombuffer(b"".join(checksums), "<u4").astype(np.uint32))
    return EntryColumns(found, array("q", offsets.astype(np.int64).tobytes()), array("I", crc32cs.tobytes()))


def _take_apart(data: bytes, num_shards: int) -> tuple[EntryHead | None, bytes, bytes]:
    """The head, the offset as a varint or several, and the masked checksum of an entry in the usual form."""
    try:
        start = _SHAPE_START + data[_SHAPE_START - 1]
        if data.startswith(SHARD_ID, start):
            _, start = decode_varint(data, start + 1)
    except (IndexError, ValueError):
        return _UNUSUAL
    head = _decode_head(data[:start], num_shards)
    if head is None or not data.endswith(head.tail, start, -CRC32C_SIZE):
        return _UNUSUAL
    offset = data[start : -CRC32C_SIZE - len(head.tail)]
    if not offset:
        return head, b"\0", data[-CRC32C_SIZE:]
    if offset.startswith(OFFSET) and 1 < len(offset) <= 1 + _LONGEST_OFFSET and offset[-1] <= 0x7F:
        return head, offset[1:], data[-CRC32C_SIZE:]
    return _UNUSUAL


@lru_cache(1024)
def _decode_head(data: bytes, num_shards: int) -> EntryHead | None:
    """The head, if these bytes are nothing else: many entries of an index have the same."""
    if data[:1] != DTYPE or data[2:3] != SHAPE or data[1] | data[3] > 0x7F:
        return None
    try:
        message = message_class("tensorflow.BundleEntryProto").FromString(data)
    except DecodeError:
        return None
    shape = tuple([dim.size for dim in message.shape.dim])
    size = tensor_bytes(message.dtype, shape)
    if size is None or size > _LARGEST_SIZE or message.shape.unknown_rank or not 0 <= message.shard_id < num_shards:
        return None
    tail = SIZE + encode_varint(size) + CRC32C if size else CRC32C
    return EntryHead(DataType(message.dtype), shape, message.shard_id, size, tail)
