"""What a verification has found so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudckpt.verification.report import Finding, FindingKind, Severity, VerifyReport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cloudckpt.bundle.entry import BundleEntry
    from cloudckpt.errors import CloudckptError

__all__ = ["Claim", "VerifyLog", "message_about"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one entry of an index stores: a whole tensor, or one slice of it."""

    tensor: str
    slice_spec: str | None
    """as in "0,2:-"; None for a whole tensor"""
    entry: BundleEntry

    def __str__(self) -> str:
        return f"tensor {self.tensor!r}" + ("" if self.slice_spec is None else f", slice {self.slice_spec}")

    def finding(
        self, kind: FindingKind, message: str, file: str, *, found: str | None = None, expected: str | None = None
    ) -> Finding:
        """A finding about its bytes in a data file; the message goes on from its name."""
        return Finding(
            kind,
            f"{self}: {message}",
            file,
            tensor=self.tensor,
            slice_spec=self.slice_spec,
            offset=self.entry.offset,
            size=self.entry.size,
            found=found,
            expected=expected,
        )


class VerifyLog:
    """Collects findings about one checkpoint; threads may add to it side by side."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.damaged: set[str] = set()
        """names of tensors that can't be restored as they were saved"""
        self.unread: set[str] = set()
        """names of tensors of which not all bytes were read and compared"""

    def add(self, finding: Finding) -> None:
        """Take a finding; the tensor that has a problem counts as damaged."""
        self.findings.append(finding)
        if finding.tensor is not None and finding.severity is Severity.PROBLEM:
            self.damaged.add(finding.tensor)

    def lose(self, tensors: Iterable[str]) -> None:
        """Count tensors as damaged and not read, because of a finding that is about more than one of them."""
        for tensor in tensors:
            self.damaged.add(tensor)
            self.unread.add(tensor)

    def report(self, path: str, format_name: str, tensors: Collection[str], bytes_checked: int) -> VerifyReport:
        """The report of everything, when there is nothing more to find.

        Args:
            path: the checkpoint's prefix.
            format_name: "V1" or "V2".
            tensors: the names of all that the checkpoint holds.
            bytes_checked: of their data.
        """
        return VerifyReport(
            path=path,
            format=format_name,
            findings=tuple(sorted(self.findings, key=lambda finding: (finding.file, finding.offset or 0))),
            damaged_tensors=tuple(sorted(self.damaged)),
            tensors_checked=len(set(tensors) - self.unread),
            bytes_checked=bytes_checked,
        )


def message_about(error: CloudckptError, file: str) -> str:
    """The error's message without the path, which stands before each finding anyway."""
    return error.message.removeprefix(file).lstrip(": ")
