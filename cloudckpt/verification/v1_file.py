"""Checking one V1 file: every block of it, and every record against what its header lists."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from cloudckpt.bundle.slice_keys import decode_slice_key
from cloudckpt.bundle.v1_record import decode_record
from cloudckpt.bundle.v1_values import VALUE_LISTS
from cloudckpt.errors import CheckpointDamagedError, ObjectChangedError, ObjectNotFoundError, ShortReadError
from cloudckpt.variables.dtypes import DataType, python_name
from cloudckpt.variables.tensor_slice import region_shape, resolve
from cloudckpt.verification.log import message_about
from cloudckpt.verification.report import Finding, FindingKind
from cloudckpt.verification.slices import slice_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudckpt.bundle.v1_header import V1Tensor
    from cloudckpt.checkpoint.v1_file import V1File
    from cloudckpt.variables.tensor_slice import TensorSlice
    from cloudckpt.verification.log import VerifyLog

__all__ = ["V1FileCheck"]

READ_BYTES = 4 << 20
"""What one request asks for at most, unless one block is longer."""


class _Slice(NamedTuple):
    """One slice of one tensor."""

    name: str
    where: TensorSlice

    def __str__(self) -> str:
        return f"tensor {self.name!r}, slice {slice_text(self.where)}"


class V1FileCheck:
    """Reads one file through, block by block, and compares its records with what its header lists."""

    def __init__(self, file: V1File, log: VerifyLog) -> None:
        self._file = file
        self._sizes: list[int] = []
        """of the records that were compared; a list, because threads can append to it side by side"""
        self._log = log
        self._listed = {_Slice(name, each) for name, tensor in file.tensors.items() for each in tensor.stored}
        self._seen: set[_Slice] = set()

    def tasks(self) -> Iterator[Callable[[], None]]:
        """What can be done side by side: reading some neighbouring blocks."""
        run: list[int] = []
        for number in range(self._file.table.block_count):
            if run and self._file.table.extent(number)[1] - self._file.table.extent(run[0])[0] > READ_BYTES:
                yield partial(self._read, run)
                run = []
            run.append(number)
        if run:
            yield partial(self._read, run)

    def report(self) -> int:
        """Add to the log what the header lists and no block has, once all were read. Returns the bytes of records."""
        for lost in sorted(self._listed - self._seen, key=str):
            self._log.lose([lost.name])
            self._add(FindingKind.SLICE_MISSING, lost, "the file's header lists it, and has no record that can be read")
        return sum(self._sizes)

    def _read(self, numbers: Sequence[int]) -> None:
        table, url = self._file.table, self._file.url
        first, last = table.extent(numbers[0])[0], table.extent(numbers[-1])[1]
        try:
            data = memoryview(self._file.read(first, last))
        except (ObjectChangedError, ObjectNotFoundError, ShortReadError) as error:
            self._log.add(Finding(FindingKind.FILE_CHANGED, message_about(error, url), url, offset=first))
            return
        for number in numbers:
            start, stop = table.extent(number)
            try:
                records = table.block(number, data[start - first : stop - first])
            except CheckpointDamagedError as error:
                message = message_about(error, url)
                self._log.add(Finding(FindingKind.INDEX_DAMAGED, message, url, offset=start, size=stop - start))
                continue
            for key, value in records:
                if key:
                    self._check(key, value)

    def _check(self, key: bytes, value: bytes) -> None:
        try:
            record = _Slice(*decode_slice_key(key))
        except ValueError:
            message = f"the key {key!r} is none of a slice"
            self._log.add(Finding(FindingKind.SLICE_UNLISTED, message, self._file.url, tensor=repr(key)))
            return
        if record not in self._listed:
            self._add(FindingKind.SLICE_UNLISTED, record, "it has a record, and the file's header does not list it")
            return
        self._seen.add(record)
        self._check_record(record, self._file.tensors[record.name], value)

    def _check_record(self, record: _Slice, tensor: V1Tensor, value: bytes) -> None:
        if tensor.dtype not in VALUE_LISTS:
            self._log.lose([record.name])
            message = f"it is of dtype {python_name(tensor.dtype)}, which no V1 checkpoint has that can be read"
            self._add(FindingKind.VERSION_UNSUPPORTED, record, message)
            return
        try:
            decode_record(
                value,
                path=self._file.url,
                name=record.name,
                tensor_slice=record.where,
                dtype=DataType(tensor.dtype),
                count=prod(region_shape(resolve(record.where, tensor.shape))),
            )
        except CheckpointDamagedError as error:
            self._add(FindingKind.CONTENT_DAMAGED, record, message_about(error, self._file.url))
        self._sizes.append(len(value))

    def _add(self, kind: FindingKind, record: _Slice, message: str) -> None:
        text = slice_text(record.where)
        self._log.add(Finding(kind, f"{record}: {message}", self._file.url, tensor=record.name, slice_spec=text))
