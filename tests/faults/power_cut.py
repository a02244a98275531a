"""A disk that loses its power: what was not flushed is there or is not, each change for itself.

The model is POSIX's, harsher than any file system:

- What is written into a file (its bytes, page by page; its size; its times) is durable once that file was flushed.
- Names in a folder are durable once that folder was flushed. Flushing a file does nothing for its name.
- Of all other changes any subset survives: the system writes them in whatever order it likes, and the power may go
  between any two. So a reordering is among the subsets, too: one that was interrupted.
- One change of names is one step, also a rename, which takes one name away and gives another.

So a name may be there without a byte of its file, the later of two names without the earlier, and a file that was
deleted may be back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import chain, combinations
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE = 4096
EXHAUSTIVE = 6
"""Of so many changes that are not durable every subset is tried; of more, the extreme ones and some others."""
SAMPLES = 20
LATER = 3600 * 10**9
"""Nanoseconds: files are given times in the future, for the time at which a tree is built would be later than any."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something done to one file or folder, at that time (ns); of itself it changes no more than the file's time."""

    inode: int
    time: int


@dataclass(frozen=True, kw_only=True)
class Bytes(Change):
    """Bytes of a file, of one page at most."""

    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Size(Change):
    """A file that is at least so long."""

    size: int


@dataclass(frozen=True, kw_only=True)
class Names(Change):
    """Names of a folder that were given to files or folders, or taken away (None), in one step."""

    names: Mapping[str, int | None]


@dataclass(frozen=True)
class Flush:
    """The end of an fsync: all that was done to the file or folder before is durable."""

    inode: int


@dataclass(frozen=True)
class Said:
    """What the program was told, and may rely on from now on."""

    text: str


Event = Change | Flush | Said
Tree = dict[str, tuple[bytes | None, int]]
"""Paths with the bytes of their files, None for folders, and their times (ns)."""


class Disk:
    """Files and folders; number 0 is the folder that everything is in."""

    def __init__(self, changes: Sequence[Change] = ()) -> None:
        self._files: dict[int, bytearray] = {}
        self._folders: dict[int, dict[str, int]] = {0: {}}
        self._times: dict[int, int] = {}
        for change in changes:
            self._make(change)

    def _make(self, change: Change) -> None:
        self._times[change.inode] = change.time
        if isinstance(change, Names):
            folder = self._folders.setdefault(change.inode, {})
            for name, inode in change.names.items():
                if inode is None:
                    folder.pop(name, None)
                else:
                    folder[name] = inode
                    self._times[inode] = change.time
        elif isinstance(change, Bytes):
            file = self._grown(change.inode, change.offset + len(change.data))
            file[change.offset : change.offset + len(change.data)] = change.data
        elif isinstance(change, Size):
            self._grown(change.inode, change.size)

    def _grown(self, inode: int, size: int) -> bytearray:
        file = self._files.setdefault(inode, bytearray())
        file.extend(bytes(max(0, size - len(file))))
        return file

    def tree(self, folder: int = 0, path: str = "") -> Tree:
        """What is there by path."""
        found: Tree = {}
        for name, inode in self._folders.get(folder, {}).items():
            below, time = os.path.join(path, name), self._times[inode]
            if inode in self._folders:
                found |= {below: (None, time)} | self.tree(inode, below)
            else:
                found[below] = bytes(self._files.get(inode, b"")), time
        return found


def surviving(events: Sequence[Event]) -> Iterator[list[Change]]:
    """What may be left of the changes if the power goes now, in their order."""
    flushed = {event.inode: number for number, event in enumerate(events) if isinstance(event, Flush)}
    changes = [(number, event) for number, event in enumerate(events) if isinstance(event, Change)]
    pending = {number for number, change in changes if number > flushed.get(change.inode, -1)}
    for lost in _subsets(sorted(pending)):
        yield [change for number, change in changes if number not in lost]


def _subsets(numbers: list[int]) -> Iterator[set[int]]:
    if len(numbers) <= EXHAUSTIVE:
        yield from map(set, chain.from_iterable(combinations(numbers, n) for n in range(len(numbers) + 1)))
        return
    yield from (set(), set(numbers))
    for number in numbers:
        yield {number}
        yield set(numbers) - {number}
    rng = Random(len(numbers))
    for _ in range(SAMPLES):
        yield {number for number in numbers if rng.random() < 0.5}


def cuts(events: Sequence[Event], first: int = 0) -> Iterator[tuple[list[str], Tree]]:
    """Every tree that a power cut may leave, with what the program had been told before; from one event on."""
    for end in range(first, len(events) + 1):
        said = [event.text for event in events[:end] if isinstance(event, Said)]
        for changes in surviving(events[:end]):
            yield said, Disk(changes).tree()


def build(tree: Tree, folder: str) -> None:
    """Make the tree in a folder, with all times an hour later, each in its place among the others."""
    for path, (data, time) in sorted(tree.items()):
        whole = os.path.join(folder, path)
        if data is None:
            os.mkdir(whole)
        else:
            with open(whole, "wb") as file:
                file.write(data)
            os.utime(whole, ns=(time + LATER, time + LATER))
