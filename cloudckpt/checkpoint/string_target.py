"""Strings on their way back: decoded as they arrive."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.strings import StringsDecoder
from cloudckpt.checkpoint.targets import Target, check_crc32c

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.checkpoint.opened import StringForm

__all__ = ["StringTarget"]


class StringTarget(Target):
    """A stored piece of a tensor of strings: each part, in order, is decoded when it arrives, and let go."""

    def __init__(self, name: str, entry: BundleEntry, path: str, form: StringForm, *, big_endian: bool) -> None:
        self._name = name
        self._path = path
        self.entry = entry
        """the piece's"""
        self.is_shared = False
        """whether more than one region is cut from it"""
        self._convert = form.convert
        self._array = np.empty(prod(entry.shape), form.dtype)
        self._decoder = StringsDecoder(entry.size, self._array.size, path=path, tensor=name, big_endian=big_endian)
        self._done = 0
        self._error: Exception | None = None

    def arrived(self, _number: int, data: memoryview, /) -> None:
        """See `Target.arrived`. Parts must come in order, one at a time."""
        for strings in self._decoder.take(data):
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
        """The piece, once all parts have arrived.

        Raises:
            ChecksumMismatchError: its bytes are not those that were written.
        """
        check_crc32c(self._decoder.crc32c, self.entry.crc32c, self._name, self._path)
        if self._error is not None:
            raise self._error
        return self._array.reshape(self.entry.shape)
