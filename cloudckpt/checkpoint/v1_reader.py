"""Reading a checkpoint in the V1 format: one file, or several that a pattern names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.tensor_names import encode_name
from cloudckpt.bundle.v1_header import V1Tensor
from cloudckpt.bundle.v1_values import VALUE_LISTS
from cloudckpt.checkpoint.coverage import cover
from cloudckpt.checkpoint.opened import OpenCheckpoint, TensorRequest
from cloudckpt.checkpoint.v1_file import V1File, open_file, open_side_by_side
from cloudckpt.checkpoint.v1_files import find_files, missing_shards
from cloudckpt.checkpoint.v1_read import StoredSlice, WantedPiece, read_pieces
from cloudckpt.errors import CheckpointDamagedError, UnsupportedOperationError
from cloudckpt.variables import dtypes
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.tensor_slice import region_shape, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from cloudckpt.storage.location import Location
    from cloudckpt.variables.tensor_slice import Region

__all__ = ["V1Checkpoint", "open_v1"]


@dataclass(frozen=True, slots=True)
class V1Checkpoint(OpenCheckpoint):
    """One save in the V1 format: its files, as they were when it was opened."""

    prefix: Location
    """the file, or the pattern that names all of them"""
    files: Sequence[V1File]
    united: Mapping[str, V1Tensor]
    """what the files have together"""
    holders: Mapping[str, Sequence[V1File]]
    """which files have slices of a tensor, by its name"""
    missing: str | None
    """which files of a sharded checkpoint lack, in words; None if it is whole"""

    @property
    def tensors(self) -> Mapping[str, V1Tensor]:
        """See `OpenCheckpoint.tensors`."""
        return self.united

    def read(self, requests: Iterable[TensorRequest]) -> list[NDArray[Any]]:
        """See `OpenCheckpoint.read`; every block that is read is checked whole, so every element is.

        Cost: for what stands in neighbouring blocks (of 256 KiB, or one tensor) a GET for every 4 MiB or less, or for
        every larger tensor, several in flight. Memory beyond the arrays: about three times what is in flight, which may
        be several of the largest tensors.
        """
        requests = list(requests)
        regions = [self._region(request) for request in requests]
        slices = {name: self._slices(name) for name in {request.name for request in requests}}
        stored = [
            self._stored(request.name, region, *slices[request.name])
            for request, region in zip(requests, regions, strict=True)
        ]
        self.check_whole()
        arrays = [self._empty(request, region) for request, region in zip(requests, regions, strict=True)]
        read_pieces(
            [
                WantedPiece(each, shared, array, region, request.form)
                for request, region, array, found in zip(requests, regions, arrays, stored, strict=True)
                for each, shared in found
            ]
        )
        return arrays

    def check_whole(self) -> None:
        """See `OpenCheckpoint.check_whole`; of files that no pattern counts, nobody knows."""
        if self.missing is not None:
            raise CheckpointDamagedError(f"{self.prefix.url!r} is not whole: {self.missing}", path=self.prefix.url)

    def is_current(self) -> bool:
        """See `OpenCheckpoint.is_current`; two requests where it is a pattern."""
        found = {info.key: info.version for info in find_files(self.prefix)}
        return found == {file.info.key: file.info.version for file in self.files}

    def _region(self, request: TensorRequest) -> Region:
        """What a request wants of its tensor, which can be read."""
        if (tensor := self.united.get(request.name)) is None:
            raise self.no_such_tensor(request.name)
        return self.region_of(request, tensor)

    def _check_dtype(self, name: str, dtype: int) -> None:
        if dtype not in VALUE_LISTS:
            url = self.prefix.url
            raise UnsupportedOperationError(
                f"tensor {name!r} in {url!r} is of dtype {dtypes.python_name(dtype)}, which TensorFlow neither writes "
                "to V1 checkpoints nor reads from them",
                path=url,
                tensor=name,
            )

    def _slices(self, name: str) -> tuple[list[StoredSlice], dict[Region, StoredSlice]]:
        """All slices that the files have of a tensor; and the same by their regions, unless two have the same one."""
        tensor = self.united[name]
        stored = [
            StoredSlice(file, name, DataType(tensor.dtype), each, resolve(each, tensor.shape))
            for file in self.holders[name]
            for each in file.tensors[name].stored
        ]
        by_region = {each.region: each for each in stored}
        return stored, by_region if len(by_region) == len(stored) else {}

    def _stored(
        self, name: str, region: Region, stored: Sequence[StoredSlice], by_region: Mapping[Region, StoredSlice]
    ) -> list[tuple[StoredSlice, Region]]:
        """Those of a tensor's slices that have elements of a region, each with the region of these elements."""
        if (exact := by_region.get(region)) is not None:
            return [(exact, region)]
        shape, path = self.united[name].shape, self.prefix.url
        shared = cover(region, [each.region for each in stored], shape=shape, path=path, tensor=name)
        return [(stored[position], common) for position, common in shared]

    def _empty(self, request: TensorRequest, region: Region) -> NDArray[Any]:
        url, dtype = self.prefix.url, DataType(self.united[request.name].dtype)
        try:
            return np.empty(
                region_shape(region), request.form.dtype if dtype == DataType.STRING else dtypes.to_numpy(dtype)
            )
        except ValueError as error:
            raise UnsupportedOperationError(
                f"tensor {request.name!r} of {url!r} has the shape {region_shape(region)}, which no array can have: "
                f"{error}; read it with TensorFlow",
                path=url,
                tensor=request.name,
            ) from error


def open_v1(pattern: Location) -> V1Checkpoint | None:
    """What `open_checkpoint` does for the V1 format; None if there is no such file, and none that matches.

    Args:
        pattern: the path of a file, or one in whose last component `*`, `?` and `[…]` stand for other characters, as
            in "run/model.ckpt-?????-of-00003".

    Raises:
        CheckpointDamagedError: a file is damaged, or none of a V1 checkpoint; or files don't fit each other.
        CheckpointVersionError: a newer program wrote it.

    Cost: a request, or two for a pattern; and two for each file, several files side by side, one if it has at most
    64 KiB.
    """
    found = find_files(pattern)
    if not found:
        return None
    files = open_side_by_side(found, partial(open_file, pattern.store), threads=pattern.store.max_concurrency)
    holders: dict[str, list[V1File]] = {}
    for file in files:
        for name in file.tensors:
            holders.setdefault(name, []).append(file)
    united = {name: _united(pattern, name, holders[name]) for name in sorted(holders, key=encode_name)}
    return V1Checkpoint(pattern, files, united, holders, missing_shards(pattern.key, found))


def _united(pattern: Location, name: str, holders: Sequence[V1File]) -> V1Tensor:
    """A tensor as all files together have it."""
    tensors = [file.tensors[name] for file in holders]
    if len(tensors) == 1:
        return tensors[0]
    dtype, shape = tensors[0].dtype, tensors[0].shape
    if any((tensor.dtype, tensor.shape) != (dtype, shape) for tensor in tensors):
        raise CheckpointDamagedError(
            f"{pattern.url!r}: tensor {name!r} is not of the same dtype and shape in all files, so these are of "
            "different saves: restore another checkpoint",
            path=pattern.url,
            tensor=name,
        )
    return V1Tensor(dtype, shape, tuple([each for tensor in tensors for each in tensor.stored]))
