"""The values of an index: one header for the bundle, one entry for every tensor.

Sources: core/protobuf/tensor_bundle.proto and core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from google.protobuf.message import DecodeError

from cloudckpt.bundle.entry_checks import check_entry, check_header, damaged_entry
from cloudckpt.bundle.entry_encoding import encode_entry
from cloudckpt.bundle.slice_proto import decode_slice
from cloudckpt.checksums import unmask
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import data_type

if TYPE_CHECKING:
    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["BundleEntry", "BundleHeader"]


@dataclass(frozen=True, slots=True)
class BundleHeader:
    """What holds for a whole bundle."""

    num_shards: int
    """Data files, as counted in their names."""
    big_endian: bool = False
    """The byte order of the numbers in the data files; the index itself is little-endian always."""
    producer: int = 1
    """The version of the format that it is written in."""
    min_consumer: int = 0
    """Readers of an older version must refuse it."""
    bad_consumers: tuple[int, ...] = ()
    """Readers of these versions must refuse it too."""

    def encode(self) -> bytes:
        """The bytes that TensorFlow would write."""
        message = message_class("tensorflow.BundleHeaderProto")()
        message.num_shards = self.num_shards
        message.endianness = int(self.big_endian)
        message.version.SetInParent()
        message.version.producer = self.producer
        message.version.min_consumer = self.min_consumer
        message.version.bad_consumers.extend(self.bad_consumers)
        return bytes(message.SerializeToString(deterministic=True))

    @classmethod
    def decode(cls, data: bytes, *, path: str) -> Self:
        """Read the header of the index at `path`.

        Raises:
            CheckpointVersionError: it is of a version that this one must not read.
            CheckpointDamagedError: it makes no sense.
        """
        message = message_class("tensorflow.BundleHeaderProto")()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise CheckpointDamagedError(f"{path}: its header can't be parsed: {error}", path=path) from error
        check_header(message, path)
        version = message.version
        return cls(
            num_shards=message.num_shards,
            big_endian=message.endianness != 0,
            producer=version.producer,
            min_consumer=version.min_consumer,
            bad_consumers=tuple(version.bad_consumers),
        )


class BundleEntry(NamedTuple):
    """One tensor, or one slice of a tensor: what it is, and where its bytes are."""

    dtype: int
    """A `DataType`; a plain int where TensorFlow has added one since."""
    shape: tuple[int, ...]
    shard_id: int
    offset: int
    """bytes from the start of the data file"""
    size: int
    """bytes"""
    crc32c: int
    """Not masked."""
    slices: tuple[TensorSlice, ...] = ()
    """If there are any, the tensor is stored in these pieces: they have the bytes, and this entry has none."""

    @property
    def is_sliced(self) -> bool:
        """Whether the bytes are with the entries of its slices."""
        return bool(self.slices)

    def encode(self) -> bytes:
        """The bytes that TensorFlow would write."""
        return encode_entry(self)

    @classmethod
    def decode(cls, data: bytes, *, path: str, name: str, num_shards: int) -> Self:
        """Read the entry of the tensor `name` in the index at `path`, and check that it makes sense.

        Raises:
            CheckpointDamagedError: it doesn't: no such shard, dimensions below zero or too large for any machine, or
                a size that doesn't fit dtype and shape.
        """
        message = message_class("tensorflow.BundleEntryProto")()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise damaged_entry(path, name, f"can't be parsed: {error}") from error
        shape = message.shape
        slices = tuple(map(decode_slice, message.slices))
        entry = cls(
            dtype=data_type(message.dtype),
            shape=tuple([dim.size for dim in shape.dim]),
            shard_id=message.shard_id,
            offset=message.offset,
            size=message.size,
            crc32c=0 if slices else unmask(message.crc32c),
            slices=slices,
        )
        if shape.unknown_rank:
            raise damaged_entry(path, name, "has no shape")
        check_entry(entry, path=path, name=name, num_shards=num_shards)
        return entry
