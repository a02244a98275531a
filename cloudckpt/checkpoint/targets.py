"""Where bytes go on their way back: into arrays, and past a checksum."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.blocks import cut_blocks
from cloudckpt.checksums import combine, crc32c, crc32c_function
from cloudckpt.errors import ChecksumMismatchError
from cloudckpt.variables.tensor_slice import region_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.bundle.entry_columns import EntryHead
    from cloudckpt.checkpoint.blocks import Block
    from cloudckpt.variables.tensor_slice import Region

__all__ = ["PieceTarget", "Target", "WholeTensors", "check_crc32c"]


COPIED_BYTES = 8 << 10
"""Smaller tensors are read with their neighbours and copied: that costs less than a place of its own for each."""


class Target(ABC):
    """What takes parts of a data file as they arrive, from any thread and in any order unless it says otherwise."""

    def memory(self, _number: int, /) -> memoryview | None:
        """The memory to read a part into, by the number that the target gave it; None for any.

        What is in memory that is not the target's is overwritten after `arrived`.
        """
        return None

    @abstractmethod
    def arrived(self, number: int, data: memoryview, /) -> None:
        """Take a part.

        Raises:
            CheckpointDamagedError: it is not what was written.
        """


class WholeTensors(Target):
    """Tensors of fixed-size elements, each wanted whole and arriving in one part.

    Args:
        dtypes: NumPy's, by TensorFlow's.
        arrays: where to put the arrays.
        url_of: the data file of a shard, for messages.
    """

    def __init__(self, dtypes: Mapping[int, np.dtype], arrays: list[Any], url_of: Callable[[int], str]) -> None:
        self._dtypes, self._arrays, self._url_of = dtypes, arrays, url_of
        self._numbers = array("q")
        self._names: list[str] = []
        self._heads: list[EntryHead | BundleEntry] = []
        self._crc32cs = array("I")
        self._crc32c = crc32c_function()

    def add(self, number: int, name: str, head: EntryHead | BundleEntry, crc32c: int) -> int:
        """Take one more tensor, whose array is that of this number; returns the number of its part."""
        self._numbers.append(number)
        self._names.append(name)
        self._heads.append(head)
        self._crc32cs.append(crc32c)
        return len(self._names) - 1

    def memory(self, number: int, /) -> memoryview | None:
        """See `Target.memory`."""
        head = self._heads[number]
        if head.size < COPIED_BYTES:
            return None
        whole = self._arrays[self._numbers[number]] = np.empty(head.shape, self._dtypes[head.dtype])
        return whole.reshape(-1).view(np.uint8).data

    def arrived(self, number: int, data: memoryview, /) -> None:
        """See `Target.arrived`."""
        head = self._heads[number]
        if (found := self._crc32c(data)) != self._crc32cs[number]:
            check_crc32c(found, self._crc32cs[number], self._names[number], self._url_of(head.shard_id))
        if head.size < COPIED_BYTES:
            self._arrays[self._numbers[number]] = np.ndarray(head.shape, self._dtypes[head.dtype], data).copy()


class PieceTarget(Target):
    """A region of one stored piece of fixed-size elements: a tensor that is stored whole, or one of its slices.

    The piece's checksum is compared if all of it is wanted.

    Args:
        name: the tensor's.
        entry: the piece's.
        path: the data file's, for messages.
        region: what is wanted of the piece; not empty.
        destination: where it goes; of the region's shape.
    """

    def __init__(self, name: str, entry: BundleEntry, path: str, region: Region, destination: NDArray[Any]) -> None:
        self._name, self._entry, self._path = name, entry, path
        self._is_whole = region_shape(region) == entry.shape
        self._shape, self._region, self._destination = entry.shape, region, destination
        if self._is_whole and destination.flags.c_contiguous:
            # Bytes to bytes, wherever they are cut.
            self._shape, self._region = (entry.size,), ((0, entry.size),)
            self._destination = destination.reshape(-1).view(np.uint8)
        self._blocks: list[Block] = []
        self._checksums: dict[int, tuple[int, int]] = {}

    def blocks(self, *, limit: int, gap: int) -> Iterator[tuple[int, int]]:
        """The parts that bring the region, by their bounds in the data file and in the order of their numbers.

        To be asked for once. The arguments are those of `cut_blocks`.
        """
        offset = self._entry.offset
        for block in cut_blocks(self._shape, self._region, self._destination.itemsize, limit=limit, gap=gap):
            self._blocks.append(block)
            yield offset + block.start, offset + block.stop

    def memory(self, number: int, /) -> memoryview | None:
        """See `Target.memory`."""
        block = self._blocks[number]
        view = self._view(block)
        if view.flags.c_contiguous and view.nbytes == block.stop - block.start:
            return view.reshape(-1).view(np.uint8).data
        return None

    def arrived(self, number: int, data: memoryview, /) -> None:
        """See `Target.arrived`."""
        block = self._blocks[number]
        view = self._view(block)
        if self._is_whole:
            self._checksums[number] = crc32c(data), len(data)
        if not np.may_share_memory(view, data):
            view[...] = np.ndarray(block.shape, view.dtype, data, strides=block.strides)

    def _view(self, block: Block) -> NDArray[Any]:
        view: NDArray[Any] = self._destination[(*block.index, ...)]
        return view

    def check(self) -> None:
        """Compare the checksum, once all parts have arrived.

        Raises:
            ChecksumMismatchError: the piece's bytes are not those that were written.
        """
        if self._is_whole:
            found = 0
            for number in range(len(self._blocks)):
                found = combine(found, *self._checksums[number])
            check_crc32c(found, self._entry.crc32c, self._name, self._path)


def check_crc32c(found: int, expected: int, name: str, path: str) -> None:
    """Compare the checksum of a piece's bytes with that of its entry.

    Raises:
        ChecksumMismatchError: they differ.
    """
    if found != expected:
        raise ChecksumMismatchError(
            f"tensor {name!r} in {path!r} is damaged: its bytes have crc32c {found:#010x}, the index says "
            f"{expected:#010x}; restore an older checkpoint, or copy this one again from where it came",
            path=path,
            tensor=name,
        )
