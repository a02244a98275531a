"""A part of a tensor whose every byte is checked: by way of the whole entries that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checkpoint.coverage import cover
from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.stored.batches import in_batches
from cloudckpt.variables.dtypes import to_numpy
from cloudckpt.variables.tensor_slice import full_slice, region_shape, resolve, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
    from cloudckpt.variables.tensor_slice import Region

__all__ = ["read_checked"]


BATCH_BYTES = 32 << 20
"""What is read together, beyond a slice that is larger by itself."""


def read_checked(checkpoint: BundleCheckpoint, name: str, region: Region) -> NDArray[Any]:
    """A region of a tensor that an array can hold, as a new array; raises what `OpenCheckpoint.read` raises.

    Cost: the whole tensor, or every slice that has some of the region, neighbours in one request; memory for 32 MiB of
    these, or for the largest, and the region.
    """
    entry = checkpoint.index.entries[name]
    slices = entry.slices or (full_slice(len(entry.shape)),)
    stored = [resolve(tensor_slice, entry.shape) for tensor_slice in slices]
    parts = cover(region, stored, shape=entry.shape, path=checkpoint.prefix.url, tensor=name)
    result = np.empty(region_shape(region), to_numpy(entry.dtype))

    def size_of(part: tuple[int, Region]) -> int:
        found = checkpoint.index.slice_entries.get(encode_slice_key(name, slices[part[0]]))
        return 0 if found is None else found.size  # if it is missing, the read says so

    for batch in in_batches(parts, size_of, BATCH_BYTES):
        pieces = checkpoint.read([TensorRequest(name, slices[position]) for position, _ in batch])
        for (position, shared), piece in zip(batch, pieces, strict=True):
            result[within(shared, region)] = piece[within(shared, stored[position])]
    return result
