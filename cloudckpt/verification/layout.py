"""Whether the entries of one data file fit into it, and beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.variables.dtypes import DataType
from cloudckpt.verification.extents import Content, Padding
from cloudckpt.verification.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudckpt.verification.extents import Extent
    from cloudckpt.verification.log import Claim, VerifyLog

__all__ = ["lay_out", "lost"]

MAX_PADDING = 4095
"""Bytes between two tensors that alignment to a page explains; TensorFlow pads with zeros, also at the file's end."""


def lay_out(file: str, file_size: int, claims: Iterable[Claim], log: VerifyLog, *, big_endian: bool) -> list[Extent]:
    """The ranges to read, in order; no two share a byte, all are within the file.

    So a file is read once at most, however often its bytes are claimed. What does not fit is added to the log.

    Args:
        file: its path, for messages.
        file_size: bytes.
        claims: all that the index says is in it.
        log: takes what is found.
        big_endian: as the bundle's header says.
    """
    layout = _Layout(file, file_size, log, big_endian=big_endian)
    for claim in sorted(claims, key=lambda claim: (claim.entry.offset, claim.entry.size)):
        layout.place(claim)
    return layout.finish()


class _Layout:
    def __init__(self, file: str, size: int, log: VerifyLog, *, big_endian: bool) -> None:
        self._file = file
        self._size = size
        self._log = log
        self._big_endian = big_endian
        self._extents: list[Extent] = []
        self._beyond: list[Claim] = []
        self._last: Claim | None = None
        """the one that ends furthest into the file, of those before"""
        self._position = 0
        """where it ends"""

    def place(self, claim: Claim) -> None:
        """Take the next claim in the order of their offsets."""
        start, stop = claim.entry.offset, claim.entry.offset + claim.entry.size
        if stop > self._size:
            self._beyond.append(claim)
        elif start < self._position and claim.entry.size:
            self._report_overlap(claim)
        else:
            self._pad(start)
            self._add(claim)
        if stop > self._position and stop <= self._size:
            self._last, self._position = claim, stop

    def _add(self, claim: Claim) -> None:
        entry = claim.entry
        if not isinstance(entry.dtype, DataType):
            self._log.lose([claim.tensor])
            self._log.add(
                claim.finding(
                    FindingKind.VERSION_UNSUPPORTED,
                    f"its dtype has the number {entry.dtype}, which this version does not know: upgrade cloudckpt",
                    self._file,
                    found=str(entry.dtype),
                )
            )
            return
        self._extents.append(Content(claim, big_endian=self._big_endian))

    def _pad(self, start: int) -> None:
        """Take what lies between the last claim and `start`."""
        if start <= self._position:
            return
        if start - self._position <= MAX_PADDING:
            self._extents.append(Padding(self._position, start))
        else:
            self._note(FindingKind.BYTES_UNCLAIMED, start, f"{start - self._position} bytes that no tensor claims")

    def finish(self) -> list[Extent]:
        """All extents, once all claims were taken."""
        if self._beyond:
            self._report_short()
        elif self._size - self._position > MAX_PADDING:
            self._note(
                FindingKind.FILE_TOO_LONG,
                self._size,
                f"the file has {self._size} bytes, its last tensor ends at byte {self._position}",
            )
        else:
            self._pad(self._size)
        return self._extents

    def _note(self, kind: FindingKind, stop: int, message: str) -> None:
        start = self._position
        self._log.add(Finding(kind, f"byte {start}: {message}", self._file, offset=start, size=stop - start))

    def _report_overlap(self, claim: Claim) -> None:
        self._log.lose([claim.tensor])
        self._log.add(
            claim.finding(
                FindingKind.RANGES_OVERLAP,
                f"its {claim.entry.size} bytes at byte {claim.entry.offset} begin before {self._last} ends, at byte "
                f"{self._position}; they were not checked",
                self._file,
            )
        )

    def _report_short(self) -> None:
        end = max(claim.entry.offset + claim.entry.size for claim in self._beyond)
        self._log.lose(claim.tensor for claim in self._beyond)
        self._log.add(
            Finding(
                FindingKind.FILE_TOO_SHORT,
                f"the file has {self._size} bytes where the index needs {end}: {lost(self._beyond)}",
                self._file,
                offset=self._size,
                size=end - self._size,
                found=self._size,
                expected=end,
            )
        )


def lost(claims: Sequence[Claim]) -> str:
    """Which tensors are lost, in words."""
    names = list(dict.fromkeys(claim.tensor for claim in claims))
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"tensor {names[0]!r}{others} lost"
