"""Where the bytes of a stored tensor are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import data_filename
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.tensor_slice import as_index, full_slice, resolve

if TYPE_CHECKING:
    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["TensorPiece", "file_order", "pieces_of", "stored_bytes"]


@dataclass(frozen=True, slots=True)
class TensorPiece:
    """Bytes of a tensor that stand together in one data file: the whole tensor, or one of its slices."""

    index: tuple[slice, ...]
    """which elements these are: `array[piece.index]`"""
    path: str
    """the data file, by the path or URL a person would use"""
    offset: int
    """bytes from its start"""
    size: int
    """bytes"""
    crc32c: int
    """the CRC-32C (not masked) of these bytes; of strings, as TensorFlow computes it, over fixed-width lengths"""


def pieces_of(checkpoint: OpenCheckpoint, name: str) -> tuple[TensorPiece, ...]:
    """Where the bytes of a tensor are, without reading them. No request.

    Empty for a file of version 1, whose values stand in compressed blocks among others.

    Raises:
        CheckpointDamagedError: the index lacks one of the tensor's slices.
    """
    if not isinstance(checkpoint, BundleCheckpoint):
        return ()
    shape = checkpoint.tensors[name].shape
    return tuple(
        TensorPiece(
            index=as_index(resolve(tensor_slice, shape)),
            path=data_filename(checkpoint.prefix.url, entry.shard_id, checkpoint.index.header.num_shards),
            offset=entry.offset,
            size=entry.size,
            crc32c=entry.crc32c,
        )
        for tensor_slice, entry in _entries(checkpoint, name)
    )


def stored_bytes(checkpoint: OpenCheckpoint, name: str) -> int:
    """The bytes that a tensor takes in the checkpoint's files, in however many pieces.

    Raises:
        CheckpointDamagedError: the index lacks one of the tensor's slices.
    """
    info = checkpoint.tensors[name]
    if not info.slices or not isinstance(checkpoint, BundleCheckpoint):
        return info.size
    return sum(entry.size for _, entry in _entries(checkpoint, name))


def file_order(checkpoint: OpenCheckpoint) -> list[str]:
    """The names of all tensors in the order in which their bytes stand in the files."""
    if not isinstance(checkpoint, BundleCheckpoint):
        return list(checkpoint.tensors)

    def position(name: str) -> tuple[int, int]:
        return min((entry.shard_id, entry.offset) for _, entry in _entries(checkpoint, name))

    return sorted(checkpoint.tensors, key=position)


def _entries(checkpoint: BundleCheckpoint, name: str) -> list[tuple[TensorSlice, BundleEntry]]:
    entry = checkpoint.index.entries[name]
    if not entry.slices:
        return [(full_slice(len(entry.shape)), entry)]
    try:
        slice_entries = checkpoint.index.slice_entries
        return [(each, slice_entries[encode_slice_key(name, each)]) for each in entry.slices]
    except KeyError:
        url = checkpoint.prefix.url
        raise CheckpointDamagedError(
            f"{url!r} is not whole: its index says that tensor {name!r} is stored in slices, and lacks one of them",
            path=url,
            tensor=name,
        ) from None
