"""Many entries in little memory: what they have in common once, their numbers in columns.

An object for each is made when it is asked for: a hundred thousand of them would take several times the memory, and
set off the garbage collector again and again.
"""

from __future__ import annotations

from array import array
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, NamedTuple

from cloudckpt.bundle.entry import BundleEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EntryColumns", "EntryHead", "NamedEntries"]


class EntryHead(NamedTuple):
    """What many entries have in common."""

    dtype: int
    shape: tuple[int, ...]
    shard_id: int
    size: int
    """bytes, as dtype and shape make it"""
    tail: bytes
    """what follows the offset in the encoded entry, up to the checksum"""


class EntryColumns(NamedTuple):
    """Entries in columns of one length."""

    heads: list[EntryHead | BundleEntry]
    """an entry itself where it is like no others: what stands beside it in the other columns means nothing"""
    offsets: array[int]
    crc32cs: array[int]

    def entry(self, row: int) -> BundleEntry:
        """One of them."""
        head = self.heads[row]
        return head if isinstance(head, BundleEntry) else _entry(head, self.offsets[row], self.crc32cs[row])

    def after(self, row: int) -> EntryColumns:
        """Those from a row on."""
        return EntryColumns(self.heads[row:], self.offsets[row:], self.crc32cs[row:])

    def entries(self) -> Iterator[BundleEntry]:
        """All of them, in order."""
        for head, offset, crc32c in zip(self.heads, self.offsets, self.crc32cs, strict=True):
            yield head if isinstance(head, BundleEntry) else _entry(head, offset, crc32c)

    def extents(self) -> Iterator[tuple[int, int, int]]:
        """Shard, offset and size of each that has bytes of its own."""
        for head, offset in zip(self.heads, self.offsets, strict=True):
            if not isinstance(head, BundleEntry):
                yield head.shard_id, offset, head.size
            elif not head.slices:
                yield head.shard_id, head.offset, head.size


def _entry(head: EntryHead, offset: int, crc32c: int) -> BundleEntry:
    return BundleEntry(head.dtype, head.shape, head.shard_id, offset, head.size, crc32c)


class NamedEntries(Mapping[str, BundleEntry]):
    """Entries by tensor name, in the order in which they were added."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._columns = EntryColumns([], array("q"), array("I"))

    def add(self, names: Sequence[str], columns: EntryColumns) -> None:
        """Append entries, whose names are new."""
        first = len(self._rows)
        self._rows.update(zip(names, range(first, first + len(names)), strict=True))
        self._columns.heads.extend(columns.heads)
        self._columns.offsets.extend(columns.offsets)
        self._columns.crc32cs.extend(columns.crc32cs)

    def __getitem__(self, name: str) -> BundleEntry:
        return self._columns.entry(self._rows[name])

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> ValuesView[BundleEntry]:
        """All entries: faster than one by one."""
        return _Values(self)

    def items(self) -> ItemsView[str, BundleEntry]:
        """All names and entries: faster than one by one."""
        return _Items(self)

    def extents(self) -> Iterator[tuple[int, int, int]]:
        """Shard, offset and size of each that has bytes of its own."""
        return self._columns.extents()

    def in_order(self) -> Iterator[BundleEntry]:
        """The entries, in order."""
        return self._columns.entries()


class _Values(ValuesView[BundleEntry]):
    _mapping: NamedEntries

    def __iter__(self) -> Iterator[BundleEntry]:
        return self._mapping.in_order()


class _Items(ItemsView[str, BundleEntry]):
    _mapping: NamedEntries

    def __iter__(self) -> Iterator[tuple[str, BundleEntry]]:
        return zip(self._mapping, self._mapping.in_order(), strict=True)
