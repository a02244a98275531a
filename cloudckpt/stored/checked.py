"""A part of a tensor whose every byte is checked: by way of the whole entries that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.coverage import cover
from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.variables.dtypes import to_numpy
from cloudckpt.variables.tensor_slice import full_slice, region_shape, resolve, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
    from cloudckpt.variables.tensor_slice import Region

__all__ = ["read_checked"]


def read_checked(checkpoint: BundleCheckpoint, name: str, region: Region) -> NDArray[Any]:
    """A region of a tensor, as a new array; raises what `OpenCheckpoint.read` raises.

    Cost: the whole tensor, or each slice that has some of the region, one after the other; memory for the largest of
    these and the region.
    """
    entry = checkpoint.index.entries[name]
    slices = entry.slices or (full_slice(len(entry.shape)),)
    stored = [resolve(tensor_slice, entry.shape) for tensor_slice in slices]
    parts = cover(region, stored, shape=entry.shape, path=checkpoint.prefix.url, tensor=name)
    result = np.empty(region_shape(region), to_numpy(entry.dtype))
    for position, shared in parts:
        [piece] = checkpoint.read([TensorRequest(name, slices[position])])
        result[within(shared, region)] = piece[within(shared, stored[position])]
    return result
