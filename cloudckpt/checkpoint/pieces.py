"""Which stored pieces of a V2 checkpoint have the elements of a region, and which elements these are in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checkpoint.coverage import cover
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import python_name
from cloudckpt.variables.tensor_slice import format_shape_and_slice, region_shape, resolve, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.bundle.index import BundleIndex
    from cloudckpt.variables.tensor_slice import Region, TensorSlice

__all__ = ["Piece", "PieceFinder"]


class Piece(NamedTuple):
    """A tensor that is stored whole, or one of its stored slices, of which a region has elements."""

    entry: BundleEntry
    wanted: Region
    """those elements, counted from the piece's first"""
    place: tuple[Any, ...]
    """the same as an index into an array of the region's elements"""


class PieceFinder:
    """Finds the pieces of any number of regions in one checkpoint.

    Args:
        index: what the checkpoint says.
        path: its path, for messages.
    """

    def __init__(self, index: BundleIndex, path: str) -> None:
        self._index, self._path = index, path
        self._stored: dict[str, dict[Region, TensorSlice]] = {}

    def find(self, name: str, region: Region) -> Iterator[Piece]:
        """The pieces that make up a region of a tensor, which is within its shape.

        Raises:
            TensorNotFoundError: the slices that the tensor is stored in lack elements of the region.
            CheckpointDamagedError: they don't fit each other, or what their entries say.

        Cost: for a region that is a stored slice, the same for any number of slices; for others, that of `cover`.
        """
        entry = self._index.entries[name]
        if not entry.slices:
            yield _piece(entry, tuple([(0, size) for size in entry.shape]), region, region)
            return
        stored = self._slices(name, entry)
        if region in stored:
            yield _piece(self._slice_entry(name, stored[region], region), region, region, region)
            return
        regions = [*stored]
        for position, shared in cover(region, regions, shape=entry.shape, path=self._path, tensor=name):
            found = regions[position]
            yield _piece(self._slice_entry(name, stored[found], found), found, shared, region)

    def _slices(self, name: str, entry: BundleEntry) -> dict[Region, TensorSlice]:
        """The slices that a tensor is stored in, by the regions that they are."""
        stored = self._stored.get(name)
        if stored is None:
            stored = self._stored[name] = {resolve(each, entry.shape): each for each in entry.slices}
            if len(stored) < len(entry.slices):
                raise self._damaged(name, f"one slice of tensor {name!r} twice")
        return stored

    def _slice_entry(self, name: str, tensor_slice: TensorSlice, region: Region) -> BundleEntry:
        entry = self._index.entries[name]
        spec, shape = format_shape_and_slice(entry.shape, tensor_slice), region_shape(region)
        found = self._index.slice_entries.get(encode_slice_key(name, tensor_slice))
        if found is None:
            raise self._damaged(name, f"the slice {spec!r} of tensor {name!r}, which it has no entry for")
        if found.slices or (found.dtype, found.shape) != (entry.dtype, shape):
            raise self._damaged(
                name,
                f"the slice {spec!r} of tensor {name!r}, whose entry is of dtype {python_name(found.dtype)} and shape "
                f"{found.shape}, not {python_name(entry.dtype)} and {shape}",
            )
        return found

    def _damaged(self, name: str, listed: str) -> CheckpointDamagedError:
        return CheckpointDamagedError(
            f"{self._path!r} is damaged: its index lists {listed}. Restore another checkpoint.",
            path=self._path,
            tensor=name,
        )


def _piece(entry: BundleEntry, stored: Region, shared: Region, region: Region) -> Piece:
    """A piece by the region that it is, what of it is wanted, and all that is wanted, each of the tensor."""
    wanted = tuple([(start - first, length) for (start, length), (first, _) in zip(shared, stored, strict=True)])
    return Piece(entry, wanted, within(shared, region))
