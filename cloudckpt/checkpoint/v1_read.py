"""Tensors out of V1 files: each needed block is read once, and its records copied to wherever they are wanted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.bundle.v1_record import decode_record
from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.errors import CheckpointDamagedError
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.tensor_slice import region_shape, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import StringForm
    from cloudckpt.checkpoint.v1_file import V1File
    from cloudckpt.variables.tensor_slice import Region, TensorSlice

__all__ = ["StoredSlice", "WantedPiece", "read_pieces"]

RANGE_BYTES = 4 << 20
"""What one request asks for at most, unless one block is longer."""


@dataclass(frozen=True, slots=True)
class StoredSlice:
    """One record of a V1 file."""

    file: V1File
    name: str
    """the tensor's"""
    dtype: DataType
    tensor_slice: TensorSlice
    region: Region
    """the slice's, in the tensor"""


@dataclass(frozen=True, slots=True)
class WantedPiece:
    """What a request wants of one stored slice."""

    stored: StoredSlice
    shared: Region
    """in the tensor"""
    into: NDArray[Any]
    """the request's array, where `region` begins at its first element"""
    region: Region
    form: StringForm

    def take(self, elements: NDArray[Any]) -> None:
        """Copy what is wanted of the stored slice's elements."""
        wanted = elements[within(self.shared, self.stored.region)]
        if self.stored.dtype == DataType.STRING and self.form.convert is not None:
            converted = np.empty(wanted.size, self.into.dtype)
            converted[:] = self.form.convert(wanted.reshape(-1).tolist())
            wanted = converted.reshape(wanted.shape)
        self.into[within(self.shared, self.region)] = wanted


def read_pieces(pieces: Sequence[WantedPiece]) -> None:
    """Read all pieces into their arrays.

    Raises:
        CheckpointDamagedError: a block or a record is damaged, or missing.
        ObjectChangedError: a file was replaced meanwhile.
        StorageError: the store failed.
    """
    blocks: dict[tuple[str, int], list[WantedPiece]] = defaultdict(list)
    files = {piece.stored.file.info.key: piece.stored.file for piece in pieces}
    for piece in pieces:
        blocks[piece.stored.file.info.key, _block_of(piece.stored)].append(piece)
    tasks = (
        partial(_read_blocks, files[key], numbers, [blocks[key, number] for number in numbers])
        for key, numbers in _neighbours(files, sorted(blocks))
    )
    run_side_by_side(tasks, threads=min((file.store.max_concurrency for file in files.values()), default=1))


def _block_of(stored: StoredSlice) -> int:
    number = stored.file.table.find(encode_slice_key(stored.name, stored.tensor_slice))
    if number is None:
        _missing(stored)
    return number


def _neighbours(files: dict[str, V1File], blocks: Sequence[tuple[str, int]]) -> Iterator[tuple[str, list[int]]]:
    """Blocks that stand one after another in a file, as many together as one request may bring."""
    run: tuple[str, list[int]] | None = None
    for key, number in blocks:
        table = files[key].table
        if (
            run is not None
            and run[0] == key
            and run[1][-1] + 1 == number
            and table.extent(number)[1] - table.extent(run[1][0])[0] <= RANGE_BYTES
        ):
            run[1].append(number)
            continue
        if run is not None:
            yield run
        run = key, [number]
    if run is not None:
        yield run


def _read_blocks(file: V1File, numbers: Sequence[int], wanted: Sequence[Sequence[WantedPiece]]) -> None:
    first = file.table.extent(numbers[0])[0]
    data = memoryview(file.read(first, file.table.extent(numbers[-1])[1]))
    for number, pieces in zip(numbers, wanted, strict=True):
        start, stop = file.table.extent(number)
        _take_records(dict(file.table.block(number, data[start - first : stop - first])), pieces)


def _take_records(records: dict[bytes, bytes], pieces: Sequence[WantedPiece]) -> None:
    decoded: dict[bytes, NDArray[Any]] = {}
    for piece in pieces:
        stored = piece.stored
        key = encode_slice_key(stored.name, stored.tensor_slice)
        if key not in decoded:
            decoded[key] = _decode(stored, records.get(key))
        piece.take(decoded[key])


def _decode(stored: StoredSlice, record: bytes | None) -> NDArray[Any]:
    if record is None:
        _missing(stored)
    shape = region_shape(stored.region)
    elements = decode_record(
        record,
        path=stored.file.url,
        name=stored.name,
        tensor_slice=stored.tensor_slice,
        dtype=stored.dtype,
        count=prod(shape),
    )
    return elements.reshape(shape)


def _missing(stored: StoredSlice) -> NoReturn:
    raise CheckpointDamagedError(
        f"{stored.file.url}: its header lists slice {stored.tensor_slice} of tensor {stored.name!r}, which is not in "
        "the file. Restore another checkpoint.",
        path=stored.file.url,
        tensor=stored.name,
    )
