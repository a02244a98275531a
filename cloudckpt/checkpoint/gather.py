"""What a read gathers: for every tensor asked for, which bytes of which data files, and the array that they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.opened import FIXED_SIZE, MAX_DIMENSIONS
from cloudckpt.checkpoint.pieces import PieceFinder
from cloudckpt.checkpoint.read import FileParts, range_size, read_files
from cloudckpt.checkpoint.string_target import StringTarget
from cloudckpt.checkpoint.targets import PieceTarget, WholeTensors
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.tensor_slice import as_index, region_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.bundle.entry_columns import EntryHead
    from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
    from cloudckpt.checkpoint.opened import StringForm, TensorRequest
    from cloudckpt.checkpoint.pieces import Piece

__all__ = ["Gathering"]

_WHOLE = 0
"""The number of the target of whole tensors, in every file."""


class Gathering:
    """One read of some tensors, or regions of them. It has no reference to itself, so the arrays go with their users.

    Args:
        checkpoint: where they are. Only data files that have some of what is wanted need be there, and they are looked
            at first: arrays are as large as the entries say, and these no larger than their files.
    """

    def __init__(self, checkpoint: BundleCheckpoint) -> None:
        self._checkpoint, self._header = checkpoint, checkpoint.index.header
        self._limit = range_size(checkpoint.prefix.store)
        self._finder = PieceFinder(checkpoint.index, checkpoint.prefix.url)
        self._files: dict[int, FileParts] = {}
        self._pieces: list[PieceTarget] = []
        self._strings: dict[int, _StringRegion] = {}
        self._string_targets: dict[tuple[str, BundleEntry, StringForm], StringTarget] = {}
        self._arrays: list[Any] = []
        self._whole = WholeTensors(FIXED_SIZE, self._arrays, checkpoint.data_url)

    def add(self, request: TensorRequest) -> None:
        """Want one more tensor, or region of one.

        Raises:
            TensorNotFoundError: there is none of that name, or stored slices lack elements of the region.
            InvalidArgumentError: a slice is not within its tensor's shape.
            CheckpointDamagedError: a data file is missing or too short, or stored slices don't fit each other.
            CheckpointVersionError: the dtype is not known.
            UnsupportedOperationError: the tensor is no array.
        """
        head, offset, crc32c = self._checkpoint.place(request.name)
        number = len(self._arrays)
        self._arrays.append(None)
        if request.tensor_slice is None and _is_one_part(head, self._limit):
            part = self._whole.add(number, request.name, head, crc32c)
            if head.size:
                self._file(head.shard_id).add_part(offset, offset + head.size, _WHOLE, part)
            else:
                self._whole.arrived(part, memoryview(b""))
        else:
            self._add(number, request, head)

    def read(self) -> list[NDArray[Any]]:
        """Read everything, and return the arrays in the order in which they were added.

        Raises:
            ChecksumMismatchError: the bytes of a piece that was wanted whole are not those that were written.
            ObjectChangedError: a data file was replaced meanwhile.
            StorageError: the store failed.
        """
        read_files(self._checkpoint.prefix.store, [self._files[shard] for shard in sorted(self._files)])
        for target in self._pieces:
            target.check()
        if self._header.big_endian:
            for array in self._arrays:
                if array is not None:  # else of strings
                    array.byteswap(inplace=True)
        for number, strings in self._strings.items():
            self._arrays[number] = strings.finish()
        return self._arrays

    def _add(self, number: int, request: TensorRequest, entry: EntryHead | BundleEntry) -> None:
        region = self._checkpoint.region_of(request, entry)
        pieces = [(self._file(piece.entry.shard_id), piece) for piece in self._finder.find(request.name, region)]
        if entry.dtype == DataType.STRING:
            self._add_strings(number, request, region_shape(region), pieces)
            return
        array = self._arrays[number] = np.empty(region_shape(region), FIXED_SIZE[entry.dtype])
        for file, piece in pieces:
            url = self._checkpoint.data_url(piece.entry.shard_id)
            target = PieceTarget(request.name, piece.entry, url, piece.wanted, array[piece.place])
            file.add_piece(target)
            self._pieces.append(target)

    def _add_strings(
        self, number: int, request: TensorRequest, shape: tuple[int, ...], pieces: Iterable[tuple[FileParts, Piece]]
    ) -> None:
        strings = self._strings[number] = _StringRegion(shape, request.form.dtype)
        for file, piece in pieces:
            key = request.name, piece.entry, request.form
            target = self._string_targets.get(key)
            if target is None:
                url, big_endian = self._checkpoint.data_url(piece.entry.shard_id), self._header.big_endian
                target = StringTarget(request.name, piece.entry, url, request.form, big_endian=big_endian)
                self._string_targets[key] = target
                file.add_strings(target)
            else:
                target.is_shared = True
            strings.pieces.append((piece, target))

    def _file(self, shard_id: int) -> FileParts:
        file = self._files.get(shard_id)
        if file is None:
            file = self._files[shard_id] = FileParts(self._checkpoint.data_file(shard_id), self._limit)
            file.add_target(self._whole)
        return file


class _StringRegion:
    """A region of a tensor of strings, whose pieces are decoded whole before it is cut from them."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._shape, self._dtype = shape, dtype
        self.pieces: list[tuple[Piece, StringTarget]] = []

    def finish(self) -> NDArray[Any]:
        """The region, once all pieces have arrived."""
        if len(self.pieces) == 1 and self.pieces[0][0].entry.shape == self._shape:
            target = self.pieces[0][1]
            return target.finish().copy() if target.is_shared else target.finish()
        array = np.empty(self._shape, self._dtype)
        for piece, target in self.pieces:
            array[piece.place] = target.finish()[as_index(piece.wanted)]
        return array


def _is_one_part(entry: EntryHead | BundleEntry, limit: int) -> bool:
    is_array = entry.dtype in FIXED_SIZE and len(entry.shape) <= MAX_DIMENSIONS
    return is_array and entry.size <= limit and not entry.slices
