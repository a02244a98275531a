"""An entry's bytes, put together by hand: a message object for each would take several times as long.

As protobuf writes them, the fields stand in the order of their numbers, and those that are zero are left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cloudckpt.bundle.slice_proto import encode_slice
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import mask
from cloudckpt.descriptors import message_class

if TYPE_CHECKING:
    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["CRC32C", "CRC32C_SIZE", "DTYPE", "OFFSET", "SHAPE", "SHARD_ID", "SIZE", "encode_entry"]

# What stands before a field's value: eight times its number, and how its end is found (0 varint, 2 length, 5 uint32).
DTYPE, SHAPE, SHARD_ID, OFFSET, SIZE, CRC32C = b"\x08", b"\x12", b"\x18", b"\x20", b"\x28", b"\x35"

CRC32C_SIZE = 4
_UINT64 = 2**64 - 1


def encode_entry(entry: BundleEntry) -> bytes:
    """The bytes of a BundleEntryProto; one that has slices has no checksum."""
    dtype, shape, shard_id, offset, size, crc32c, slices = entry
    data = _encode_head(dtype, shape)
    if shard_id:
        data += SHARD_ID + encode_varint(shard_id & _UINT64)
    if offset:
        data += OFFSET + encode_varint(offset & _UINT64)
    if size:
        data += SIZE + encode_varint(size & _UINT64)
    if slices:
        return data + _encode_slices(slices)
    masked = mask(crc32c)
    return data + CRC32C + masked.to_bytes(CRC32C_SIZE, "little") if masked else data


@lru_cache(1024)
def _encode_head(dtype: int, shape: tuple[int, ...]) -> bytes:
    """Dtype and shape, which many tensors have in common."""
    message = message_class("tensorflow.BundleEntryProto")()
    message.dtype = int(dtype)
    message.shape.SetInParent()
    for size in shape:
        message.shape.dim.add().size = size
    return bytes(message.SerializeToString(deterministic=True))


def _encode_slices(slices: tuple[TensorSlice, ...]) -> bytes:
    message = message_class("tensorflow.BundleEntryProto")()
    for tensor_slice in slices:
        encode_slice(tensor_slice, message.slices.add())
    return bytes(message.SerializeToString(deterministic=True))
