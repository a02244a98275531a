"""Where the bytes of one tensor go on their way back: into its array, checked when all have arrived."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cloudckpt.bundle.strings import StringsDecoder
from cloudckpt.checksums import combine, crc32c
from cloudckpt.errors import CheckpointVersionError, ChecksumMismatchError, UnsupportedOperationError
from cloudckpt.variables import dtypes
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry

__all__ = ["UNREADABLE", "StringForm", "TensorTarget", "target_of"]

UNREADABLE = (DataType.RESOURCE, DataType.VARIANT)
"""Handles and C++ objects, which no array can hold."""

_OBJECT = np.dtype(object)
_KNOWN = frozenset(DataType)


@dataclass(frozen=True, slots=True)
class StringForm:
    """What array the caller wants a string tensor as, so that its strings need not all exist in another form first."""

    dtype: np.dtype = _OBJECT
    convert: Callable[[Sequence[bytes]], Sequence[Any]] | None = None
    """makes elements of some strings; its errors are raised once the checksum has shown that the strings are right"""


class TensorTarget(Protocol):
    """One tensor that is being read."""

    name: str
    entry: BundleEntry
    in_order: bool
    """whether its pieces must arrive in order, one at a time; else any thread may bring any piece"""

    def buffer(self, start: int, stop: int) -> memoryview:
        """The memory to read a piece of its bytes into."""
        ...

    def arrived(self, start: int, piece: memoryview, /) -> None:
        """Take the piece that was read into the buffer from `start` on."""
        ...

    def finish(self) -> NDArray[Any]:
        """The tensor, once all pieces have arrived.

        Raises:
            ChecksumMismatchError: its bytes are not those that were written.
        """
        ...


class ArrayTarget:
    """A tensor of fixed-size elements: its bytes are read straight into the final array."""

    in_order = False

    def __init__(self, name: str, entry: BundleEntry, path: str, *, big_endian: bool) -> None:
        self.name = name
        self.entry = entry
        self._path = path
        self._big_endian = big_endian
        self._array = np.empty(entry.shape, dtypes.to_numpy(DataType(entry.dtype)))
        self._bytes = self._array.reshape(-1).view(np.uint8).data
        self._pieces: dict[int, tuple[int, int]] = {}

    def buffer(self, start: int, stop: int) -> memoryview:
        """See `TensorTarget.buffer`."""
        return self._bytes[start:stop]

    def arrived(self, start: int, piece: memoryview, /) -> None:
        """See `TensorTarget.arrived`."""
        self._pieces[start] = crc32c(piece), len(piece)

    def finish(self) -> NDArray[Any]:
        """See `TensorTarget.finish`."""
        checksum = 0
        for _, (piece, size) in sorted(self._pieces.items()):
            checksum = combine(checksum, piece, size)
        _check(self.name, self.entry, self._path, checksum)
        return self._array.byteswap(inplace=True) if self._big_endian else self._array


class StringTarget:
    """A tensor of strings: each piece is decoded when it arrives, and let go."""

    in_order = True

    def __init__(self, name: str, entry: BundleEntry, path: str, form: StringForm, *, big_endian: bool) -> None:
        self.name = name
        self.entry = entry
        self._path = path
        self._convert = form.convert
        self._array = np.empty(prod(entry.shape), form.dtype)
        self._decoder = StringsDecoder(entry.size, self._array.size, path=path, tensor=name, big_endian=big_endian)
        self._done = 0
        self._error: Exception | None = None

    def buffer(self, start: int, stop: int) -> memoryview:
        """See `TensorTarget.buffer`."""
        return np.empty(stop - start, np.uint8).data

    def arrived(self, _start: int, piece: memoryview, /) -> None:
        """See `TensorTarget.arrived`."""
        for strings in self._decoder.take(piece):
            if self._error is None:
                self._store(strings)

    def _store(self, strings: Sequence[bytes]) -> None:
        try:
            elements = strings if self._convert is None else self._convert(strings)
            self._array[self._done : self._done + len(strings)] = elements
            self._done += len(strings)
        except Exception as error:  # noqa: BLE001 - raised by `finish`, unless it was the bytes that were wrong
            self._error = error

    def finish(self) -> NDArray[Any]:
        """See `TensorTarget.finish`."""
        _check(self.name, self.entry, self._path, self._decoder.crc32c)
        if self._error is not None:
            raise self._error
        return self._array.reshape(self.entry.shape)


def target_of(name: str, entry: BundleEntry, path: str, form: StringForm, *, big_endian: bool) -> TensorTarget:
    """The target of one entry.

    Args:
        name: the tensor's.
        entry: its entry; the data file is as long as the entry needs it to be.
        path: the data file's, for messages.
        form: what to make of it if it is a string tensor.
        big_endian: as the bundle's header says.

    Raises:
        CheckpointVersionError: the dtype is not known.
        UnsupportedOperationError: it is no array, or is stored in slices.
    """
    if entry.dtype not in _KNOWN:
        raise CheckpointVersionError(
            f"tensor {name!r} in {path!r} is of the dtype with number {entry.dtype}, which TensorFlow has added since "
            "this version was made: upgrade cloudckpt",
            path=path,
            tensor=name,
        )
    if entry.dtype in UNREADABLE or entry.is_sliced:
        kind = f"stored in {len(entry.slices)} slices" if entry.is_sliced else f"a {DataType(entry.dtype).name.lower()}"
        raise UnsupportedOperationError(
            f"tensor {name!r} in {path!r} is {kind}, which this version can't read; read it with TensorFlow",
            path=path,
            tensor=name,
        )
    if entry.dtype == DataType.STRING:
        return StringTarget(name, entry, path, form, big_endian=big_endian)
    return ArrayTarget(name, entry, path, big_endian=big_endian)


def _check(name: str, entry: BundleEntry, path: str, found: int) -> None:
    if found != entry.crc32c:
        raise ChecksumMismatchError(
            f"tensor {name!r} in {path!r} is damaged: its bytes have crc32c {found:#010x}, the index says "
            f"{entry.crc32c:#010x}; restore an older checkpoint, or copy this one again from where it came",
            path=path,
            tensor=name,
        )
