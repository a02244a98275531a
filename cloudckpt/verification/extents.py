"""The ranges of a data file that verification reads, and what it looks for in each."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Protocol

from cloudckpt.bundle.content_checksums import content_checksum
from cloudckpt.verification.report import Finding, FindingKind

if TYPE_CHECKING:
    from cloudckpt.verification.log import Claim, VerifyLog

__all__ = ["Content", "Extent", "Padding"]


class Extent(Protocol):
    """A range of a data file, from `start` to `stop`."""

    start: int
    stop: int
    in_order: bool
    """whether its pieces must come in order, one at a time; else any thread may bring any piece"""

    def take(self, start: int, data: memoryview, /) -> None:
        """Look at its bytes from `start` on, counted from its own beginning."""
        ...

    def report(self, file: str, log: VerifyLog) -> int:
        """Add to the log what is wrong, once all bytes were taken. Returns how many bytes of a tensor it was."""
        ...


class Padding:
    """Bytes that belong to no tensor: zeros."""

    in_order = False

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop
        self._is_zero = True

    def take(self, _start: int, data: memoryview, /) -> None:
        """See `Extent.take`."""
        if any(data):
            self._is_zero = False

    def report(self, file: str, log: VerifyLog) -> int:
        """See `Extent.report`."""
        if not self._is_zero:
            size = self.stop - self.start
            message = f"the {size} bytes of padding at byte {self.start} are not zero"
            log.add(Finding(FindingKind.PADDING_NOT_ZERO, message, file, offset=self.start, size=size))
        return 0


class Content:
    """What one entry stores."""

    def __init__(self, claim: Claim, *, big_endian: bool) -> None:
        entry = claim.entry
        self.start = entry.offset
        self.stop = entry.offset + entry.size
        self._claim = claim
        self._checksum = content_checksum(entry.dtype, entry.size, prod(entry.shape), big_endian=big_endian)
        self.in_order = self._checksum.in_order
        self._damage: str | None = None

    def take(self, start: int, data: memoryview, /) -> None:
        """See `Extent.take`."""
        if self._damage is None:
            try:
                self._checksum.take(start, data)
            except ValueError as error:
                self._damage = str(error)

    def report(self, file: str, log: VerifyLog) -> int:
        """See `Extent.report`."""
        entry = self._claim.entry
        try:
            computed = self._computed()
        except ValueError as error:
            log.add(self._claim.finding(FindingKind.CONTENT_DAMAGED, f"{error}", file))
            return entry.size
        if computed != entry.crc32c:
            found, expected = f"{computed:#010x}", f"{entry.crc32c:#010x}"
            message = (
                f"its {entry.size} bytes at byte {entry.offset} have CRC-32C {found}, the index says {expected}: "
                "they are not those that were written"
            )
            log.add(self._claim.finding(FindingKind.CHECKSUM_MISMATCH, message, file, found=found, expected=expected))
        return entry.size

    def _computed(self) -> int:
        if self._damage is not None:
            raise ValueError(self._damage)
        return self._checksum.finish()
