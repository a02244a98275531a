"""The checksum of an entry, computed as its bytes pass: no array is built, and none of the bytes are kept.

Of strings and variants it covers lengths in another form than they stand in the file, and there are checksums among the
bytes. Source: core/util/tensor_bundle/tensor_bundle.cc, WriteStringTensor and WriteVariantTensor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from cloudckpt.bundle.lengths import LengthsDecoder
from cloudckpt.bundle.varint import decode_varint
from cloudckpt.checksums import combine, crc32c, unmask
from cloudckpt.variables.dtypes import DataType

__all__ = ["ContentChecksum", "content_checksum"]

if TYPE_CHECKING:
    ByteOrder = Literal["little", "big"]

_CHECKSUM_SIZE = 4
_LENGTH_SIZE = 8


class ContentChecksum(ABC):
    """Takes the bytes of one entry, piece by piece."""

    in_order = True
    """whether pieces must come in order, one at a time; else any thread may bring any piece"""

    @abstractmethod
    def take(self, start: int, data: memoryview, /) -> None:
        """Take the bytes (format "B") from `start` on.

        Raises:
            ValueError: they can't be what they should be; the message says why. Nothing may be taken after it.
        """

    @abstractmethod
    def finish(self) -> int:
        """The CRC-32C (not masked) to compare with the index's, once all bytes were taken.

        Raises:
            ValueError: they end too early.
        """


def content_checksum(dtype: int, size: int, count: int, *, big_endian: bool) -> ContentChecksum:
    """What computes the checksum of an entry of `size` bytes and `count` elements."""
    order: ByteOrder = "big" if big_endian else "little"
    if dtype == DataType.STRING and (size or count):
        return _StringsChecksum(size, count, order)
    if dtype == DataType.VARIANT and size:
        return _VariantsChecksum(count, order)
    return _BytesChecksum()


class _BytesChecksum(ContentChecksum):
    """Elements of a fixed size, or of a kind of which only the bytes are known."""

    in_order = False

    def __init__(self) -> None:
        self._pieces: dict[int, tuple[int, int]] = {}

    def take(self, start: int, data: memoryview, /) -> None:
        """See `ContentChecksum.take`."""
        self._pieces[start] = crc32c(data), len(data)

    def finish(self) -> int:
        """See `ContentChecksum.finish`."""
        total = 0
        for _, (checksum, size) in sorted(self._pieces.items()):
            total = combine(total, checksum, size)
        return total


class _StringsChecksum(ContentChecksum):
    """All lengths, the checksum of these, and all strings one after another."""

    def __init__(self, size: int, count: int, order: ByteOrder) -> None:
        self._order: ByteOrder = order
        self._lengths: LengthsDecoder | None = LengthsDecoder(size, count, big_endian=order == "big")
        self._crc32c = 0

    def take(self, _start: int, data: memoryview, /) -> None:
        """See `ContentChecksum.take`."""
        if self._lengths is not None:
            try:
                rest = self._lengths.take(data)
            except ValueError as error:
                raise ValueError(f"the lengths of its strings {error}") from None
            if rest is None:
                return
            self._finish_lengths(self._lengths)
            data = rest
        self._crc32c = crc32c(data, self._crc32c)

    def _finish_lengths(self, lengths: LengthsDecoder) -> None:
        if unmask(int.from_bytes(lengths.checksum, self._order)) != lengths.crc32c:
            raise ValueError("the lengths of its strings are not those that were written, by their own checksum")
        self._crc32c = crc32c(lengths.checksum, lengths.crc32c)
        self._lengths = None

    def finish(self) -> int:
        """See `ContentChecksum.finish`."""
        if self._lengths is not None:
            raise ValueError("the lengths of its strings run over the end of its data")
        return self._crc32c


class _VariantsChecksum(ContentChecksum):
    """Of each variant its length as a varint, its bytes, and a masked checksum of all that came before that.

    The checksums see the length as a uint64 of the writer's byte order.
    """

    def __init__(self, count: int, order: ByteOrder) -> None:
        self._missing = count
        self._order: ByteOrder = order
        self._length = b""
        """of the variant that is next, as far as it has come"""
        self._left: int | None = None
        """bytes of the current variant that are still to come; None until its length is known"""
        self._checksum = b""
        """after the current variant, as far as it has come"""
        self._crc32c = 0

    def take(self, _start: int, data: memoryview, /) -> None:
        """See `ContentChecksum.take`."""
        while len(data):
            if self._left is None:
                data = self._take_length(data)
            elif self._left:
                data = self._take_bytes(data, self._left)
            else:
                data = self._take_checksum(data)

    def _take_length(self, data: memoryview) -> memoryview:
        if not self._missing:
            raise ValueError("it goes on after its last variant")
        self._length += data[:1]
        try:
            self._left, _ = decode_varint(self._length, 0)
        except IndexError:
            return data[1:]  # the rest of it is still to come
        self._crc32c = crc32c(self._left.to_bytes(_LENGTH_SIZE, self._order), self._crc32c)
        return data[1:]

    def _take_bytes(self, data: memoryview, left: int) -> memoryview:
        part = data[:left]
        self._crc32c = crc32c(part, self._crc32c)
        self._left = left - len(part)
        return data[len(part) :]

    def _take_checksum(self, data: memoryview) -> memoryview:
        wanted = _CHECKSUM_SIZE - len(self._checksum)
        self._checksum += data[:wanted]
        if len(self._checksum) == _CHECKSUM_SIZE:
            if unmask(int.from_bytes(self._checksum, self._order)) != self._crc32c:
                raise ValueError("one of its variants is not as it was written, by its own checksum")
            self._crc32c = crc32c(self._checksum, self._crc32c)
            self._missing -= 1
            self._length, self._left, self._checksum = b"", None, b""
        return data[wanted:]

    def finish(self) -> int:
        """See `ContentChecksum.finish`."""
        if self._missing:
            raise ValueError(f"its data ends before {self._missing} of its variants")
        return self._crc32c
