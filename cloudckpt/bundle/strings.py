"""The bytes of a string tensor: all lengths as varints, a masked CRC-32C of the lengths, all strings one after another.

That checksum, and the entry's own, is over the lengths not as they stand in the file but as fixed-width integers of
the writer's byte order: uint32, or uint64 for a length beyond 2**32 - 1. The entry's goes on over the four bytes of
the first as they stand, and the strings.

Source: core/util/tensor_bundle/tensor_bundle.cc, WriteStringTensor and ReadStringTensor.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from cloudckpt.bundle.lengths import LengthsDecoder, encode_varints, fixed_width
from cloudckpt.checksums import crc32c, mask, unmask
from cloudckpt.errors import CheckpointDamagedError, ChecksumMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["LengthsEncoder", "StringsDecoder"]

_STRINGS_AT_ONCE = 1 << 16


class LengthsEncoder:
    """What stands before the strings, made of a run of lengths at a time."""

    def __init__(self) -> None:
        self._crc32c = 0

    def add(self, lengths: Sequence[int] | NDArray[np.integer]) -> bytes:
        """The varints of the next lengths."""
        numbers = np.asarray(lengths, dtype=np.uint64)
        self._crc32c = crc32c(fixed_width(numbers, big_endian=False), self._crc32c)
        return encode_varints(numbers)

    def finish(self) -> tuple[bytes, int]:
        """The masked checksum that follows the last varint, and the entry's checksum so far (not masked)."""
        checksum = struct.pack("<I", mask(self._crc32c))
        return checksum, crc32c(checksum, self._crc32c)


class StringsDecoder:
    """Takes a string tensor's bytes piece by piece, in order, and gives its strings; keeps their lengths only.

    Args:
        size: how many bytes there will be, as the entry says.
        count: how many strings the entry's shape asks for.
        path: the data file's, for messages.
        tensor: its name, for messages.
        big_endian: as the bundle's header says.
    """

    def __init__(self, size: int, count: int, *, path: str, tensor: str, big_endian: bool = False) -> None:
        self._count, self._path, self._tensor = count, path, tensor
        self._big_endian = big_endian
        self._header: LengthsDecoder | None = LengthsDecoder(size, count, big_endian=big_endian)
        if not size and not count:
            self._header = None
        self._lengths: NDArray[np.unsignedinteger] = np.zeros(0, np.uint32)
        self._begun = bytearray()
        self.crc32c = 0
        """The entry's, not masked, over what was taken: to compare with the index's after the last piece."""

    def take(self, data: memoryview) -> Iterator[list[bytes]]:
        """The strings that end in the next piece of bytes (format "B"), in runs; each string is copied once.

        Raises:
            ChecksumMismatchError: the lengths are not those that were written.
            CheckpointDamagedError: the lengths can't be read, or don't add up to the size.
        """
        if self._header is None:
            self.crc32c = crc32c(data, self.crc32c)
            yield from self._strings(data)
            return
        try:
            rest = self._header.take(data)
        except ValueError as error:
            raise CheckpointDamagedError(
                f"{self._path}: the lengths of the {self._count} strings of tensor {self._tensor!r} {error}. "
                "Restore another checkpoint.",
                path=self._path,
                tensor=self._tensor,
            ) from None
        if rest is not None:
            self._finish_header(self._header)
            yield from self.take(rest)

    def _finish_header(self, header: LengthsDecoder) -> None:
        if unmask(int.from_bytes(header.checksum, "big" if self._big_endian else "little")) != header.crc32c:
            raise ChecksumMismatchError(
                f"{self._path}: the lengths of the strings of tensor {self._tensor!r} are not those that were "
                "written. The file was altered after it was saved: restore another checkpoint.",
                path=self._path,
                tensor=self._tensor,
            )
        self.crc32c = crc32c(header.checksum, header.crc32c)
        self._lengths = header.lengths
        self._header = None

    def _strings(self, data: memoryview) -> Iterator[list[bytes]]:
        position = 0
        while len(self._lengths):
            ends = np.cumsum(self._lengths[:_STRINGS_AT_ONCE], dtype=np.int64) + (position - len(self._begun))
            whole = int(np.searchsorted(ends, len(data), side="right"))
            if not whole:
                break
            bounds = [position, *ends[:whole].tolist()]
            strings = [bytes(data[begin:end]) for begin, end in pairwise(bounds)]
            if self._begun:
                strings[0] = bytes(self._begun) + strings[0]
                self._begun = bytearray()
            self._lengths = self._lengths[whole:]
            position = bounds[-1]
            yield strings
        self._begun += data[position:]
