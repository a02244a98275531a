"""The lengths of a string tensor's elements: as varints in the file, and as fixed-width integers for their checksum.

Source: core/util/tensor_bundle/tensor_bundle.cc, WriteStringTensor and ReadStringTensor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudckpt.checksums import crc32c

__all__ = ["Lengths", "LengthsDecoder", "encode_varints", "fixed_width", "read_varints"]

Lengths = NDArray[np.uint64]

CHECKSUM_SIZE = 4
MAX_VARINT = 9
"""A varint of ten bytes is 2**63 or more, and no data has as many bytes."""

_UINT32_MAX = 2**32 - 1


def fixed_width(lengths: Lengths, *, big_endian: bool) -> bytes:
    """The lengths as the checksum sees them: uint32, or uint64 where they are beyond it."""
    order = ">" if big_endian else "<"
    as_bytes = lengths.astype(f"{order}u8").view(np.uint8).reshape(-1, 8)
    kept = np.ones_like(as_bytes, dtype=np.bool_)
    high_half = slice(0, 4) if big_endian else slice(4, 8)
    kept[:, high_half] = (lengths > _UINT32_MAX)[:, np.newaxis]
    return as_bytes[kept].tobytes()


def encode_varints(lengths: Lengths) -> bytes:
    """The lengths as varints: first bytes first, then second bytes and so on, so ten steps do for any count."""
    sizes = np.ones(len(lengths), dtype=np.int64)
    for bits in range(7, 64, 7):
        sizes += lengths >= np.uint64(1 << bits)
    starts = np.cumsum(sizes) - sizes
    encoded = np.zeros(int(sizes.sum()), dtype=np.uint8)
    for step in range(int(sizes.max(initial=0))):
        chosen = sizes > step
        more = (sizes[chosen] > step + 1).astype(np.uint8) << np.uint8(7)
        seven_bits = (lengths[chosen] >> np.uint64(7 * step)) & np.uint64(0x7F)
        encoded[starts[chosen] + step] = seven_bits.astype(np.uint8) | more
    return encoded.tobytes()


def read_varints(data: bytes | memoryview, count: int, *, longest: int = MAX_VARINT) -> tuple[Lengths, int]:
    """Up to `count` varints of up to `longest` bytes, as many as end within the data, and the position after them.

    Raises:
        ValueError: one is too long.
    """
    window = np.frombuffer(data, dtype=np.uint8)[: count * longest]
    ends = np.flatnonzero(window <= 0x7F)[:count] + 1
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    sizes = ends - starts
    if sizes.max(initial=0) > longest:
        raise ValueError("are not readable")
    lengths = np.zeros(len(ends), dtype=np.uint64)
    for step in range(int(sizes.max(initial=0))):
        chosen = sizes > step
        seven_bits = window[starts[chosen] + step].astype(np.uint64) & np.uint64(0x7F)
        lengths[chosen] |= seven_bits << np.uint64(7 * step)
    return lengths, int(ends[-1]) if len(ends) else 0


class LengthsDecoder:
    """Takes the beginning of a string tensor's bytes piece by piece, until it has all lengths and their checksum.

    Args:
        size: how many bytes the tensor has.
        count: how many strings it has.
        big_endian: as the bundle's header says.
    """

    def __init__(self, size: int, count: int, *, big_endian: bool) -> None:
        self._unread = size
        self._missing = count
        self._big_endian = big_endian
        self._carry = b""
        self._runs: list[NDArray[np.unsignedinteger]] = []
        self._total = 0
        self.crc32c = 0
        """of the lengths, as it is"""
        self.checksum = b""
        """of the lengths, as it stands in the file"""

    @property
    def lengths(self) -> NDArray[np.unsignedinteger]:
        """All lengths, once they were taken."""
        return np.concatenate(self._runs) if self._runs else np.zeros(0, np.uint32)

    def take(self, data: memoryview) -> memoryview | None:
        """What of the next bytes belongs to the strings; None as long as lengths or checksum are not complete.

        Raises:
            ValueError: the lengths can't be read, or don't add up to the size.
        """
        self._unread -= len(data)
        self._carry += data
        if self._missing:
            self._read()
        if self._missing:
            return None
        available = self._unread + len(self._carry) - CHECKSUM_SIZE
        if self._total != available:
            raise ValueError(f"don't add up to the {available} bytes there are")
        if len(self._carry) < CHECKSUM_SIZE:
            return None
        self.checksum = self._carry[:CHECKSUM_SIZE]
        return memoryview(self._carry)[CHECKSUM_SIZE:]

    def _read(self) -> None:
        lengths, position = read_varints(self._carry, self._missing)
        if len(lengths) < self._missing and (not self._unread or len(self._carry) >= self._missing * MAX_VARINT):
            raise ValueError("run over the end of its data")
        self._missing -= len(lengths)
        self._carry = self._carry[position:]
        if self._missing and len(self._carry) > MAX_VARINT:
            raise ValueError("are not readable")
        self.crc32c = crc32c(fixed_width(lengths, big_endian=self._big_endian), self.crc32c)
        ends = np.cumsum(lengths, dtype=np.uint64)
        if bool((ends < lengths).any()):  # a sum that went round at 2**64 is smaller than what was added last
            raise ValueError("don't add up to the bytes there are")
        self._total += int(ends[-1]) if len(ends) else 0
        self._runs.append(lengths.astype(np.uint32) if lengths.max(initial=0) <= _UINT32_MAX else lengths)
