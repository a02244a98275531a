"""The first record of a V1 file, under the empty key: which tensors there are, and which slices of them are here.

Source: core/util/saved_tensor_slice.proto and core/util/tensor_slice_writer.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from cloudckpt.bundle.entry_checks import check_version, tensor_bytes
from cloudckpt.bundle.slice_proto import decode_slice, encode_slice
from cloudckpt.bundle.tensor_names import decode_name
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import DataType, data_type
from cloudckpt.variables.tensor_slice import is_full, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["V1Tensor", "decode_header", "encode_header"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class V1Tensor:
    """What a V1 checkpoint says of one tensor."""

    dtype: int
    """A `DataType`; a plain int where TensorFlow has added one since."""
    shape: tuple[int, ...]
    """the whole tensor's"""
    stored: tuple[TensorSlice, ...]
    """The slices that have a record each; of a tensor that was saved whole, the one that is all of it."""

    @property
    def slices(self) -> tuple[TensorSlice, ...]:
        """The pieces that it is stored in; empty if it is stored whole."""
        return () if any(map(is_full, self.stored)) else self.stored

    @property
    def size(self) -> int:
        """Bytes of its elements in memory; 0 if no header says it: those of strings, and of a tensor in slices."""
        return 0 if self.slices else tensor_bytes(self.dtype, self.shape) or 0

    @property
    def stored_elements(self) -> int:
        """The elements of all slices that are stored."""
        return sum(prod(length for _, length in resolve(piece, self.shape)) for piece in self.stored)


def encode_header(tensors: Mapping[str, V1Tensor]) -> bytes:
    """The bytes that TensorFlow would write: the tensors in order of their names' UTF-8 bytes."""
    message = message_class("cloudckpt.v1.SavedTensorSlices")()
    message.meta.versions.producer = _VERSION
    for name, tensor in sorted((name.encode(), tensor) for name, tensor in tensors.items()):
        meta = message.meta.tensor.add()
        meta.name = name
        meta.type = int(tensor.dtype)
        meta.shape.SetInParent()
        for size in tensor.shape:
            meta.shape.dim.add().size = size
        for tensor_slice in tensor.stored:
            encode_slice(tensor_slice, meta.slice.add())
    return bytes(message.SerializeToString(deterministic=True))


def decode_header(data: bytes, path: str) -> dict[str, V1Tensor]:
    """The tensors of the V1 file at `path`, by name. Files of 2015 say no version, which is right.

    Raises:
        CheckpointVersionError: it is of a version that this one must not read.
        CheckpointDamagedError: it makes no sense: shapes that no tensor can have, slices beyond their tensors.
    """
    message = message_class("cloudckpt.v1.SavedTensorSlices")()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise CheckpointDamagedError(f"{path}: its header can't be parsed: {error}", path=path) from error
    if not message.HasField("meta"):
        raise CheckpointDamagedError(
            f"{path}: its first record is no header of a V1 checkpoint. Restore another checkpoint.", path=path
        )
    check_version(message.meta.versions, path)
    tensors: dict[str, V1Tensor] = {}
    for meta in message.meta.tensor:
        name = decode_name(meta.name)
        if name in tensors:
            raise _damaged(path, name, "is listed twice")
        tensors[name] = _decode_tensor(meta, path, name)
    return tensors


def _decode_tensor(meta: Any, path: str, name: str) -> V1Tensor:
    shape = tuple([dim.size for dim in meta.shape.dim])
    stored = tuple(map(decode_slice, meta.slice))
    if meta.type == 0:
        raise _damaged(path, name, "has no dtype")
    # As if of bytes: whether its elements' own size fits is known only where the dtype is.
    if meta.shape.unknown_rank or tensor_bytes(DataType.UINT8, shape) is None:
        raise _damaged(path, name, "has a shape that no tensor can have")
    if len(set(stored)) < len(stored):
        raise _damaged(path, name, "has a slice that is listed twice")
    for tensor_slice in stored:
        try:
            resolve(tensor_slice, shape)
        except ValueError as error:
            raise _damaged(path, name, f"has a slice that can't be: {error}") from error
    return V1Tensor(data_type(meta.type), shape, stored)


def _damaged(path: str, name: str, found: str) -> CheckpointDamagedError:
    return CheckpointDamagedError(
        f"{path}: by its header, tensor {name!r} {found}. Restore another checkpoint.", path=path, tensor=name
    )
