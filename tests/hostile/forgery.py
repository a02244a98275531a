"""Checkpoints put together by hand: every checksum is right, and what they say need not be."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.block import BlockBuilder
from cloudckpt.bundle.entry import BundleHeader
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.bundle.strings import LengthsEncoder
from cloudckpt.bundle.table import HANDLES_SIZE, MAGIC, TRAILER, UNCOMPRESSED
from cloudckpt.bundle.table_writer import encode_table
from cloudckpt.bundle.varint import encode_varint
from cloudckpt.checksums import crc32c, mask
from cloudckpt.descriptors import message_class
from cloudckpt.variables.dtypes import from_numpy
from cloudckpt.variables.tensor_slice import region_shape, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudckpt.variables.tensor_slice import TensorSlice

STRING = 7


def entry_proto(
    dtype: int,
    shape: Sequence[int],
    *,
    shard_id: int = 0,
    offset: int = 0,
    size: int = 0,
    crc: int = 0,
    slices: Iterable[TensorSlice] = (),
) -> bytes:
    """The bytes of a BundleEntryProto that says exactly this, true or not."""
    message = message_class("tensorflow.BundleEntryProto")()
    message.dtype = dtype
    message.shape.SetInParent()
    for length in shape:
        message.shape.dim.add().size = length
    message.shard_id, message.offset, message.size, message.crc32c = shard_id, offset, size, mask(crc)
    for each in slices:
        proto = message.slices.add()
        for start, length in each:
            extent = proto.extent.add()
            if length is not None:
                extent.start, extent.length = start, length
    return bytes(message.SerializeToString(deterministic=True))


def strings_content(lengths: Sequence[int], body: bytes) -> tuple[bytes, int]:
    """The bytes of a string tensor with these lengths and whatever body, and the checksum of its entry."""
    encoder = LengthsEncoder()
    varints = encoder.add(lengths)
    checksum, crc = encoder.finish()
    return varints + checksum + body, crc32c(body, crc)


@dataclass
class Forgery:
    """The rows of an index and the bytes of data files."""

    rows: dict[bytes, bytes] = field(default_factory=dict)
    data: dict[int, bytearray] = field(default_factory=dict)
    num_shards: int = 1
    header: bytes | None = None

    def store(self, content: bytes, shard_id: int = 0, *, align: int = 1) -> int:
        """Append to a data file, and say where."""
        file = self.data.setdefault(shard_id, bytearray())
        file += bytes(-len(file) % align)
        file += content
        return len(file) - len(content)

    def tensor(self, name: str, array: NDArray[Any], *, shard_id: int = 0, align: int = 1, **lies: Any) -> None:
        """Add a tensor of fixed-size elements; `lies` are fields of its entry."""
        self._add(name.encode(), int(from_numpy(array.dtype)), array.shape, array.tobytes(), shard_id, align, lies)

    def strings(self, name: str, strings: Sequence[bytes], *, shard_id: int = 0, **lies: Any) -> None:
        """Add a tensor of strings, of one dimension."""
        content, crc = strings_content([len(each) for each in strings], b"".join(strings))
        self._add(name.encode(), STRING, (len(strings),), content, shard_id, 1, {"crc": crc, **lies})

    def sliced(
        self, name: str, array: NDArray[Any], slices: Sequence[TensorSlice], *, shards: Sequence[int] = (0,)
    ) -> None:
        """Add a tensor in slices, dealt out to the shards."""
        self.listed(name, int(from_numpy(array.dtype)), array.shape, slices)
        for number, each in enumerate(slices):
            self.slice(name, each, array, shard_id=shards[number % len(shards)])

    def listed(self, name: str, dtype: int, shape: Sequence[int], slices: Iterable[TensorSlice]) -> None:
        """Add the entry alone of a tensor in slices."""
        self.rows[name.encode()] = entry_proto(dtype, shape, slices=slices)

    def slice(self, name: str, where: TensorSlice, array: NDArray[Any], *, shard_id: int = 0, **lies: Any) -> None:
        """Add one slice of an array, without the entry that lists it."""
        region = resolve(where, array.shape)
        part = array[tuple(slice(start, start + length) for start, length in region)]
        key = encode_slice_key(name, where)
        content = np.ascontiguousarray(part).tobytes()
        self._add(key, int(from_numpy(array.dtype)), region_shape(region), content, shard_id, 1, lies)

    def _add(
        self,
        key: bytes,
        dtype: int,
        shape: Sequence[int],
        content: bytes,
        shard_id: int,
        align: int,
        lies: dict[str, Any],
    ) -> None:
        offset = self.store(content, shard_id, align=align)
        truth = {"shard_id": shard_id, "offset": offset, "size": len(content), "crc": crc32c(content)}
        fields = {"dtype": dtype, "shape": shape, **truth, **lies}
        self.rows[key] = entry_proto(**fields)

    def index(self) -> bytes:
        """The bytes of the index."""
        header = BundleHeader(self.num_shards).encode() if self.header is None else self.header
        return encode_table(sorted({b"": header, **self.rows}.items()))

    def write(self, prefix: Path) -> Path:
        """Write all files of the checkpoint."""
        prefix.with_name(f"{prefix.name}.index").write_bytes(self.index())
        for shard_id, content in self.data.items():
            name = f"{prefix.name}.data-{shard_id:05d}-of-{self.num_shards:05d}"
            prefix.with_name(name).write_bytes(content)
        return prefix


def block_of(*entries: tuple[bytes, bytes], restart_interval: int = 16) -> bytes:
    """A block of entries in any order."""
    builder = BlockBuilder(restart_interval)
    for key, value in entries:
        builder.add(key, value)
    return builder.finish()


EMPTY_BLOCK = block_of()


class ForgedTable:
    """A table of any blocks, each with its right checksum."""

    def __init__(self) -> None:
        self.content = b""

    def block(self, block: bytes, compression: int = UNCOMPRESSED) -> bytes:
        """Append a block, and say where it is, as the index of the table does."""
        handle = encode_varint(len(self.content)) + encode_varint(len(block))
        checksum = crc32c(bytes([compression]), crc32c(block))
        self.content += block + TRAILER.pack(compression, mask(checksum))
        return handle

    def finish(self, index_block: bytes, metaindex: bytes = EMPTY_BLOCK) -> bytes:
        """The whole table."""
        return self.footer(self.block(metaindex), self.block(index_block))

    def footer(self, metaindex: bytes, index: bytes) -> bytes:
        """The whole table, whose footer says that these two are there."""
        return self.content + (metaindex + index).ljust(HANDLES_SIZE, b"\0") + MAGIC


def elements(shape: Sequence[int]) -> NDArray[np.float32]:
    """An array in which every element differs."""
    return np.arange(prod(shape), dtype=np.float32).reshape(shape)
