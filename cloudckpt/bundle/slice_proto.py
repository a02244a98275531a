"""Slices as TensorSliceProto messages: in the entries of a V2 index, and in every record of a V1 file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["decode_slice", "encode_slice"]


def encode_slice(tensor_slice: TensorSlice, message: Any) -> None:
    """Fill an empty TensorSliceProto."""
    message.SetInParent()  # a scalar's slice has no dimensions, and is there all the same
    for start, length in tensor_slice:
        extent = message.extent.add()
        if length is not None:
            extent.start = start
            extent.length = length


def decode_slice(message: Any) -> TensorSlice:
    """The slice that a TensorSliceProto says, unchecked."""
    return tuple([(extent.start, extent.length if extent.HasField("length") else None) for extent in message.extent])
