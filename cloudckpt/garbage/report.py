"""What a collection found, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Garbage", "GarbageKind", "GarbageReport", "Spared"]


class GarbageKind(StrEnum):
    """What something was, before it was garbage."""

    UNNAMED_DATA = "unnamed-data"
    """a data file that its checkpoint's index does not name: of a save that was replaced, or never committed"""
    DATA_WITHOUT_INDEX = "data-without-index"
    """a data file of no checkpoint: of a save that was never committed, or of a deletion that was cut short"""
    UNFINISHED_UPLOAD = "unfinished-upload"
    """an upload that was begun and not completed, or a temporary file of one"""
    TENSORFLOW_TEMPORARY = "tensorflow-temporary"
    """what a save of TensorFlow's left when it failed or was killed"""


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing that nobody needs."""

    kind: GarbageKind
    path: str
    """path or URL, without credentials; of an upload that of the object that it was to be"""
    size: int | None
    """bytes; None where the store does not say, as S3 of an upload"""
    modified: float
    """when it was last changed, seconds since the epoch, by the store's clock"""

    def __str__(self) -> str:
        size = "" if self.size is None else f" ({_count(self.size, 'byte')})"
        return f"{self.kind}: {self.path}{size}"


@dataclass(frozen=True, slots=True)
class Spared:
    """Something that may be garbage, and was not touched."""

    path: str
    """path or URL, without credentials; a prefix where it is about all data files of it"""
    reason: str
    """why, in words"""

    def __str__(self) -> str:
        return f"kept: {self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """Everything that a collection found in a directory. As a `str`: a line for each, and one to sum up."""

    directory: str
    """without credentials; "one and another", where it is about two"""
    min_age: float
    """seconds: what is younger was kept"""
    found: tuple[Garbage, ...]
    """what is garbage"""
    deleted: tuple[Garbage, ...]
    """what of it was deleted: all but what changed meanwhile; nothing in a dry run"""
    kept: tuple[Spared, ...]
    """what may be garbage and stays: too young, or nobody can tell"""
    dry_run: bool

    def joined(self, other: GarbageReport) -> GarbageReport:
        """One report of two collections, as of a manager that saves to two directories."""
        return GarbageReport(
            directory=f"{self.directory} and {other.directory}",
            min_age=min(self.min_age, other.min_age),
            found=self.found + other.found,
            deleted=self.deleted + other.deleted,
            kept=self.kept + other.kept,
            dry_run=self.dry_run,
        )

    @property
    def bytes(self) -> int:
        """The size of all that was found, as far as the store says."""
        return sum(garbage.size or 0 for garbage in self.found)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.found), *map(str, self.kept), self.summary])

    @property
    def summary(self) -> str:
        """The last line of the text."""
        deleted = "none deleted in a dry run" if self.dry_run else f"{len(self.deleted)} deleted"
        found = f"{_count(len(self.found), 'piece')} of garbage with {_count(self.bytes, 'byte')}"
        return f"{self.directory}: {found} found, {deleted}, {len(self.kept)} kept"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
