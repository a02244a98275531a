"""The checksum of an entry, computed as its bytes pass: no array is built, and none of the bytes are kept.

Of strings and variants it covers lengths in another form than they stand in the file, and there are checksums among the
bytes. Source: core/util/tensor_bundle/tensor_bundle.cc, WriteStringTensor and WriteVariantTensor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import Struct
from typing import TYPE_CHECKING, Literal

from cloudckpt.bundle.lengths import LengthsDecoder
from cloudckpt.bundle.varint import decode_varint
from cloudckpt.checksums import combine, crc32c, crc32c_function, mask, unmask
from cloudckpt.variables.dtypes import DataType

__all__ = ["ContentChecksum", "content_checksum"]

if TYPE_CHECKING:
    ByteOrder = Literal["little", "big"]

_CHECKSUM_SIZE = 4


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

    The checksums see the length as a uint64 of the writer's byte order. A file may hold a variant for every five of its
    bytes, so these are taken in one loop.
    """

    def __init__(self, count: int, order: ByteOrder) -> None:
        self._missing = count
        self._length = Struct(">Q" if order == "big" else "<Q")
        self._masked = Struct(">I" if order == "big" else "<I")
        self._left: int | None = None
        """bytes of the current variant that are still to come; None until its length is known"""
        self._rest = b""
        """of a length or a checksum, as far as it has come"""
        self._crc32c = 0

    def take(self, _start: int, data: memoryview, /) -> None:
        """See `ContentChecksum.take`."""
        piece = self._rest + data
        self._rest = piece[self._take(piece) :]

    def _take(self, data: bytes) -> int:
        """Take all but a length or checksum that is not all there; returns where that begins."""
        extend, packed, masked_at = crc32c_function(), self._length.pack, self._masked.unpack_from
        position, left, crc = 0, self._left, self._crc32c
        while position < len(data):
            if left is None:
                if not self._missing:
                    raise ValueError("it goes on after its last variant")
                try:
                    left, position = decode_varint(data, position)
                except IndexError:
                    break
                crc = extend(packed(left), crc)
            if left:
                part = memoryview(data)[position : position + left]
                crc = extend(part, crc)
                position, left = position + len(part), left - len(part)
            if left or len(data) - position < _CHECKSUM_SIZE:
                break
            if masked_at(data, position)[0] != mask(crc):
                raise ValueError("one of its variants is not as it was written, by its own checksum")
            crc = extend(data[position : position + _CHECKSUM_SIZE], crc)
            position, left = position + _CHECKSUM_SIZE, None
            self._missing -= 1
        self._left, self._crc32c = left, crc
        return position

    def finish(self) -> int:
        """See `ContentChecksum.finish`."""
        if self._missing:
            raise ValueError(f"its data ends before {self._missing} of its variants")
        return self._crc32c
