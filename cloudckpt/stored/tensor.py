"""One tensor of an open checkpoint: what it is without reading it, and its elements when they are asked for."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.stored.pieces import TensorPiece, pieces_of, stored_bytes
from cloudckpt.stored.selection import select
from cloudckpt.variables.dtypes import python_name, to_numpy
from cloudckpt.variables.tensor_slice import as_index, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    from cloudckpt.checkpoint.opened import TensorInfo
    from cloudckpt.stored.source import StoredSource

__all__ = ["StoredTensor"]


class StoredTensor:
    """A tensor in a checkpoint: reads nothing until it is indexed, read, or made an array.

    `tensor[...]` is all of it, `tensor[10:20, ::2]` what NumPy would return for that index, from the byte ranges that
    are needed; `np.asarray(tensor)` works too. Every index reads anew: keep the array if you need it again.

    Attributes:
        name: the tensor's.
    """

    __slots__ = ("_info", "_source", "name")

    def __init__(self, name: str, info: TensorInfo, source: StoredSource) -> None:
        self.name = name
        self._info = info
        self._source = source

    @property
    def data_type(self) -> int:
        """TensorFlow's dtype, of whatever tensor: a `DataType`, or a number that is newer than this version."""
        return self._info.dtype

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype; object for strings, whose elements are bytes.

        Raises:
            TypeError: the tensor is a resource or a variant, which no array can hold, or of a dtype that is newer than
                this version.
        """
        return to_numpy(self.data_type)

    @property
    def shape(self) -> tuple[int, ...]:
        """The whole tensor's."""
        return self._info.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that it takes in the checkpoint's files; of strings, with their lengths.

        In V1 files, which don't say it, those of its elements in memory; 0 for strings and what is stored in slices.

        Raises:
            CheckpointDamagedError: the index lacks one of the tensor's slices.
        """
        return stored_bytes(self._source.checkpoint, self.name)

    @property
    def slices(self) -> tuple[tuple[slice, ...], ...]:
        """The slices that it is stored in, each an index of NumPy's; empty if it is stored whole."""
        return tuple(as_index(resolve(tensor_slice, self.shape)) for tensor_slice in self._info.slices)

    @property
    def pieces(self) -> tuple[TensorPiece, ...]:
        """Where its bytes are: data file, offset, size and checksum of the tensor, or of each of its slices.

        Empty in files of version 1, whose values stand in compressed blocks.

        Raises:
            CheckpointDamagedError: the index lacks one of the tensor's slices.
        """
        return pieces_of(self._source.checkpoint, self.name)

    @property
    def is_mapped(self) -> bool:
        """Whether reading it maps it: the checkpoint was opened with `mmap=True`, and the tensor allows it."""
        return self._source.is_mapped(self.name)

    def read(self, index: object = ..., *, verify: bool = False) -> Any:
        """Its elements, or those that an index selects: what NumPy would return for it.

        What is read of the whole tensor is checked against its checksum. A part of it is not, and what is mapped is
        not, because the checksum is that of all bytes; `verify=True` reads all that the checksums need.

        Args:
            index: integers, slices with any step, `...` and None, or a tuple of them; for instance `np.s_[10:20, 0]`.
            verify: read the whole entries that the elements are in, and check them; nothing is mapped then, since the
                bytes of a mapping may change after they were checked.

        Returns:
            A new array; of strings, an object array of bytes; if `is_mapped` a read-only view of the file, or a copy
            where a step leaves elements out. An element where all dimensions are indexed by integers.

        Raises:
            IndexError: the index is out of range, or is none of these.
            ValueError: the checkpoint was closed.
            CheckpointDamagedError: a data file is missing or too short, or bytes don't match their checksum.
            TensorNotFoundError: the checkpoint lacks slices that are needed.
            UnsupportedOperationError: it is a resource or a variant.
            CheckpointVersionError: it is of a dtype that is newer than this version.
            ObjectChangedError: the checkpoint was replaced since it was opened.
            StorageError: the store failed.

        Cost: one ranged read of a run of neighbouring bytes, up to 8 MiB; several side by side beyond that. Short gaps
        are read over, those of a slice with steps too. A part of a string tensor reads all of it, a part of a tensor in
        a V1 file the slices that it is in.
        """
        selection = select(index, self.shape)
        return selection.take(self._source.read_region(self.name, selection.region, verify=verify))

    def __getitem__(self, index: object) -> Any:
        return self.read(index)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"tensor {self.name!r} is a scalar: it has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the first dimension, of an array that is read once."""
        return iter(self.read())

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it as NumPy's protocol asks for it; only what `is_mapped` can be had without new memory."""
        if copy is False and not self.is_mapped:
            raise ValueError(f"tensor {self.name!r} has to be read into new memory: don't ask for copy=False")
        array = self.read()
        return np.array(array, dtype=dtype, copy=copy if self.is_mapped else None)

    def __repr__(self) -> str:
        kind = python_name(self.data_type)
        try:
            size = f"{self.nbytes} bytes"
        except CheckpointDamagedError:
            size = "slices missing"
        return f"<StoredTensor {self.name!r}: {kind} {list(self.shape)}, {size}>"
