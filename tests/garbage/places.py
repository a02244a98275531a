"""Directories whose clock can be set, and what a collection must never change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.checkpoint.prefix import sort_by_prefix
from cloudckpt.checksums import crc32c
from cloudckpt.garbage.collect import collect_in
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location
from cloudckpt.storage.store import Always, Capabilities

if TYPE_CHECKING:
    from cloudckpt.garbage.report import GarbageReport
    from cloudckpt.storage.store import Store

HOUR = 3600.0
DAY = 24 * HOUR
START = 1_750_000_000.0


class Clock:
    """A store's clock, set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class UnconditionalMemory(MemoryStore):
    """A memory that, as S3, can't delete on a condition."""

    @property
    def capabilities(self) -> Capabilities:
        all_of_them = super().capabilities
        fields = {name: getattr(all_of_them, name) for name in Capabilities.__slots__}
        return Capabilities(**{**fields, "delete_if_version": False})


class Directory:
    """A directory of checkpoints: `run`, in a memory of its own with a clock of its own, or one that is given."""

    def __init__(self, kind: type[MemoryStore] = MemoryStore, *, location: Location | None = None) -> None:
        self.clock = Clock()
        filesystem = MemoryFileSystem(skip_instance_cache=True)
        filesystem.store = {}
        self.location = location or Location(kind(filesystem, clock=self.clock), "run")
        self.store = self.location.store

    def on(self, store: Store) -> Location:
        """The directory by way of another store."""
        return Location(store, self.location.key)

    def prefix(self, name: str, store: Store | None = None) -> Location:
        return self.on(store or self.store).child(name)

    def write(self, *names: str, data: bytes = b"something") -> None:
        """Files as other programs write them."""
        for name in names:
            self.store.put(self.prefix(name).key, data, Always(), crc32c=crc32c(data))

    @property
    def files(self) -> list[str]:
        return files_of(self.location)

    def collect(self, **options: Any) -> GarbageReport:
        return collect_in(self.location, **options)


def files_of(directory: Location) -> list[str]:
    """The names of all files of a directory, of the folders below it, too."""
    folder = directory.child("").key
    return [info.key.removeprefix(folder) for info in directory.store.list(folder, recursive=True)]


def committed(directory: Location) -> dict[str, list[str]]:
    """The files of each checkpoint of a directory, by its prefix; fails where one is not whole."""
    folder = directory.child("").key
    found = {}
    for prefix, files in sort_by_prefix(directory.store.list(folder)).items():
        if files.index is not None:
            needed = needed_data_files(prefix, decode_index(directory.store.get(files.index.key)[0], prefix))
            assert needed.keys() <= files.data.keys(), f"{prefix} has lost its data"
            assert all(files.data[key].size >= size for key, size in needed.items())
            found[prefix.removeprefix(folder)] = sorted(key.removeprefix(folder) for key in (files.index.key, *needed))
    return found


def only_checkpoints(directory: Location, *others: str) -> bool:
    """Whether a directory holds the files of its checkpoints, some others, and nothing else."""
    return files_of(directory) == sorted(
        [*others, *(name for names in committed(directory).values() for name in names)]
    )


def tensors(number: int) -> dict[str, np.ndarray[Any, Any]]:
    """What a save writes, told apart by the number."""
    return {"w": np.full(3000, number, np.float64), "b": np.full(7, number, np.int32)}
