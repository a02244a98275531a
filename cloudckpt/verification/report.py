"""What `verify` found, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Finding", "FindingKind", "Severity", "VerifyReport"]


class Severity(StrEnum):
    """What a finding means for whoever wants the tensors back."""

    PROBLEM = "problem"
    """Something can't be restored as it was saved, or it can't be known whether it can."""
    NOTE = "note"
    """Worth knowing; everything that the checkpoint names is restored in spite of it."""


class FindingKind(StrEnum):
    """What is wrong, in one word for a program to act on."""

    INDEX_DAMAGED = "index-damaged"
    """the index, or one block of it, can't be read: what tensors it lists is not known"""
    ENTRY_DAMAGED = "entry-damaged"
    """the index says of one tensor what can't be"""
    VERSION_UNSUPPORTED = "version-unsupported"
    """a newer program wrote the checkpoint, or a tensor of it, in a way that this version can't check"""
    FILE_MISSING = "file-missing"
    """a data file that the index needs is not there"""
    FILE_TOO_SHORT = "file-too-short"
    """a data file ends before the tensors that the index says are in it"""
    FILE_CHANGED = "file-changed"
    """a data file was replaced or deleted while it was read, and the index was not"""
    RANGES_OVERLAP = "ranges-overlap"
    """two tensors claim the same bytes"""
    CHECKSUM_MISMATCH = "checksum-mismatch"
    """bytes are not those that were written"""
    CONTENT_DAMAGED = "content-damaged"
    """the lengths inside a tensor of strings or variants can't be true"""
    SLICE_MISSING = "slice-missing"
    """a tensor lists a slice that has no entry"""
    SLICE_MISFIT = "slice-misfit"
    """a slice's entry is of another dtype or shape than its tensor says"""
    SLICES_OVERLAP = "slices-overlap"
    """two slices of a tensor share elements, or they are so cut that it would take too long to tell"""
    SLICE_UNLISTED = "slice-unlisted"
    """a slice has an entry, and its tensor does not list it"""
    FILE_TOO_LONG = "file-too-long"
    """a data file goes on after its last tensor"""
    FILE_UNNAMED = "file-unnamed"
    """a data file of this prefix is named by no entry: garbage, or a save that is under way"""
    BYTES_UNCLAIMED = "bytes-unclaimed"
    """there is more room between two tensors than alignment explains"""
    PADDING_NOT_ZERO = "padding-not-zero"
    """the room that alignment leaves between two tensors is not filled with zeros"""
    TENSOR_PARTIAL = "tensor-partial"
    """the slices that are there leave elements of their tensor out"""

    @property
    def severity(self) -> Severity:
        """The same for all findings of a kind."""
        return Severity.NOTE if self in _NOTES else Severity.PROBLEM


_NOTES = frozenset(
    {
        FindingKind.FILE_TOO_LONG,
        FindingKind.FILE_UNNAMED,
        FindingKind.BYTES_UNCLAIMED,
        FindingKind.PADDING_NOT_ZERO,
        FindingKind.TENSOR_PARTIAL,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, and where."""

    kind: FindingKind
    message: str
    """what was found and what was expected, in words"""
    file: str
    """path or URL, without credentials"""
    tensor: str | None = None
    """its name, where it is about one tensor"""
    slice_spec: str | None = None
    """which slice of it, as in "0,2:-", where it is about one slice"""
    offset: int | None = None
    """bytes from the start of the file"""
    size: int | None = None
    """bytes"""
    found: str | int | None = None
    expected: str | int | None = None

    @property
    def severity(self) -> Severity:
        """That of its kind."""
        return self.kind.severity

    def __str__(self) -> str:
        return f"{self.severity}: {self.kind}: {self.file}: {self.message}"

    def as_dict(self) -> dict[str, str | int | None]:
        """All fields and the severity, such that `json.dumps` takes them."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {"severity": str(self.severity), **fields, "kind": str(self.kind)}


@dataclass(frozen=True)
class VerifyReport:
    """Everything that `verify` found out about one checkpoint. As a `str`: a line a finding, and one to sum up."""

    path: str
    """the checkpoint's prefix, without credentials"""
    format: str
    """"V2", or "V1" """
    findings: tuple[Finding, ...]
    """in the order of files and of places in them"""
    damaged_tensors: tuple[str, ...]
    """the names, sorted, of those that can't be restored as they were saved; those of lost entries nobody knows"""
    tensors_checked: int
    """how many had all their bytes read and compared, whatever the result; one in slices counts once"""
    bytes_checked: int
    """of tensors' data"""

    @cached_property
    def problems(self) -> tuple[Finding, ...]:
        """What keeps the checkpoint from being restored as it was saved."""
        return _of(self.findings, Severity.PROBLEM)

    @cached_property
    def notes(self) -> tuple[Finding, ...]:
        """What is worth knowing, and does no harm to a restore."""
        return _of(self.findings, Severity.NOTE)

    @property
    def ok(self) -> bool:
        """Whether there is no problem: every tensor was read, and is as it was written."""
        return not self.problems

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), self.summary])

    @property
    def summary(self) -> str:
        """The last line of the text."""
        verdict = "ok" if self.ok else f"damaged: {_count(len(self.problems), 'problem')}"
        damaged = "" if self.ok else f", {_count(len(self.damaged_tensors), 'tensor')} lost or doubtful"
        notes = f", {_count(len(self.notes), 'note')}" if self.notes else ""
        checked = f"{_count(self.tensors_checked, 'tensor')} and {_count(self.bytes_checked, 'byte')} checked"
        return f"{self.path}: {verdict}{damaged}{notes}; {checked}"

    def as_dict(self) -> dict[str, object]:
        """The whole report, such that `json.dumps` takes it."""
        return {
            "path": self.path,
            "format": self.format,
            "ok": self.ok,
            "tensors_checked": self.tensors_checked,
            "bytes_checked": self.bytes_checked,
            "damaged_tensors": list(self.damaged_tensors),
            "findings": [finding.as_dict() for finding in self.findings],
        }


def _of(findings: Iterable[Finding], severity: Severity) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity is severity)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
