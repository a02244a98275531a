"""Many entries in little memory: what they have in common once, their numbers in columns.

An object for each is made when it is asked for: a hundred thousand of them would take several times the memory, and
set off the garbage collector again and again.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from cloudckpt.bundle.entry import BundleEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.variables.tensor_slice import TensorSlice

__all__ = ["EntryColumns", "EntryHead", "NamedEntries", "NamedHeads"]

Row = TypeVar("Row")


class EntryHead(NamedTuple):
    """What many entries have in common."""

    dtype: int
    shape: tuple[int, ...]
    shard_id: int
    size: int
    """bytes, as dtype and shape make it"""
    tail: bytes
    """what follows the offset in the encoded entry, up to the checksum"""

    @property
    def slices(self) -> tuple[TensorSlice, ...]:
        """There are none: what is stored in slices is like no others."""
        return ()


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


class _ByName(Mapping[str, Row]):
    """Rows of a table by tensor name, in the order in which they were added."""

    def __init__(self, rows: dict[str, int], columns: EntryColumns) -> None:
        self._rows, self._columns = rows, columns

    @abstractmethod
    def in_order(self) -> Iterator[Row]:
        """All rows, in order."""

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def keys(self) -> KeysView[str]:
        """All names."""
        return self._rows.keys()

    def values(self) -> ValuesView[Row]:
        """All rows: faster than one by one."""
        return _Values(self)

    def items(self) -> ItemsView[str, Row]:
        """All names and rows: faster than one by one."""
        return _Items(self)


class NamedHeads(_ByName[EntryHead | BundleEntry]):
    """What is to be said of tensors without saying where they are: no object is made for any of them."""

    def __getitem__(self, name: str) -> EntryHead | BundleEntry:
        return self._columns.heads[self._rows[name]]

    def in_order(self) -> Iterator[EntryHead | BundleEntry]:
        """All, in order."""
        return iter(self._columns.heads)


class NamedEntries(_ByName[BundleEntry]):
    """Entries by tensor name, in the order in which they were added."""

    def __init__(self) -> None:
        super().__init__({}, EntryColumns([], array("q"), array("I")))
        self.heads = NamedHeads(self._rows, self._columns)
        """the same without offsets and checksums"""

    @classmethod
    def of(cls, entries: Mapping[str, BundleEntry]) -> Self:
        """These entries, in their order."""
        named = cls()
        zeros = [0] * len(entries)
        named.add(list(entries), EntryColumns(list(entries.values()), array("q", zeros), array("I", zeros)))
        return named

    def add(self, names: Sequence[str], columns: EntryColumns) -> None:
        """Append entries, whose names are new."""
        first = len(self._rows)
        self._rows.update(zip(names, range(first, first + len(names)), strict=True))
        self._columns.heads.extend(columns.heads)
        self._columns.offsets.extend(columns.offsets)
        self._columns.crc32cs.extend(columns.crc32cs)

    def __getitem__(self, name: str) -> BundleEntry:
        return self._columns.entry(self._rows[name])

    def place(self, name: str) -> tuple[EntryHead | BundleEntry, int, int]:
        """What an entry has in common with others, its offset and its CRC-32C: the same as the entry, sooner."""
        row = self._rows[name]
        head = self._columns.heads[row]
        if isinstance(head, BundleEntry):
            return head, head.offset, head.crc32c
        return head, self._columns.offsets[row], self._columns.crc32cs[row]

    def extents(self) -> Iterator[tuple[int, int, int]]:
        """Shard, offset and size of each that has bytes of its own."""
        return self._columns.extents()

    def in_order(self) -> Iterator[BundleEntry]:
        """All entries, in order."""
        return self._columns.entries()


class _Values(ValuesView[Row]):
    _mapping: _ByName[Row]

    def __iter__(self) -> Iterator[Row]:
        return self._mapping.in_order()


class _Items(ItemsView[str, Row]):
    _mapping: _ByName[Row]

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        return zip(self._mapping.keys(), self._mapping.in_order(), strict=True)
