"""What a job does with a directory while the network fails, and what must be there afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np

import cloudckpt as ckpt
from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.errors import CommitError, StorageError
from cloudckpt.objects.trees.save import save_tree
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.servers import ObjectServer

PART = 5 << 20
"""The smallest part that S3 takes."""
LAST = 64 << 10


@cache
def bits(number: int, size: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, size, np.uint8)


def tree(number: int, *, size: int = 1000) -> dict[str, Any]:
    """What a job has to save at a step: other bits at each."""
    return {"w": bits(number, size), "number": number}


def large(number: int) -> dict[str, Any]:
    """A tree whose data file goes out in two parts."""
    return tree(number, size=PART + LAST)


def number_of(found: dict[str, Any]) -> int:
    """The number of a tree, each bit of which must be that of `tree`."""
    number: int = found["number"]
    assert np.array_equal(found["w"], bits(number, found["w"].size))
    return number


@dataclass(frozen=True)
class Place:
    """A directory of one bucket, and the ways to it."""

    url: str
    direct: ObjectServer
    options: dict[str, Any]
    """of the way on which things go wrong"""

    def manager(self, **options: Any) -> ckpt.CheckpointManager:
        """A manager that the faults don't reach."""
        return ckpt.CheckpointManager(self.url, storage_options=self.direct.storage_options, **options)

    def keys(self) -> set[str]:
        """The names of all objects there, as another program lists them: hidden ones, and those of subfolders."""
        protocol, folder = self.url.split("://")
        filesystem = fsspec.filesystem(protocol, **self.direct.storage_options)
        filesystem.invalidate_cache()
        return {key.removeprefix(f"{folder}/") for key in filesystem.find(self.url)}

    def unfinished(self) -> list[str]:
        """The names of unfinished multipart uploads there; Cloud Storage lists none."""
        if self.direct.scheme != "s3":
            return []
        filesystem = fsspec.filesystem("s3", **self.direct.storage_options)
        folder = self.url.removeprefix(f"{self.direct.root}/")
        keys = [upload["Key"] for upload in filesystem.list_multipart_uploads(self.direct.bucket)]
        return [key.removeprefix(f"{folder}/") for key in keys if key.startswith(f"{folder}/")]

    def needed(self) -> set[str]:
        """The names of the state file, of the indexes that are there, and of the data files that those name."""
        needed = {"checkpoint"}
        with open_location(self.url, self.direct.storage_options) as directory:
            for info in list(directory.store.list(directory.child("").key)):
                if info.key.endswith(".index"):
                    prefix = info.key.removesuffix(".index")
                    index = decode_index(directory.store.get(info.key)[0], info.key)
                    needed |= {key.rpartition("/")[2] for key in (info.key, *needed_data_files(prefix, index))}
        return needed


@dataclass(frozen=True)
class Case:
    """A job's way, on a directory that was prepared without faults."""

    prepare: Callable[[Place], None]
    work: Callable[..., int | None]
    """on the directory's URL with storage options, and perhaps a `timeout`; returns the number of the tree that it
    restored, if that is its purpose"""
    acceptable: Collection[int | None]
    """the numbers, of which a restart must find one if the job was cut short; None for no checkpoint"""
    done: int
    """the number that a restart must find once the work is done"""

    def failure(self, place: Place, **limits: float) -> CommitError | StorageError | None:
        """Do the work where things go wrong; the error that it ends with, or None once it is done."""
        try:
            restored = self.work(place.url, place.options, **limits)
        except (CommitError, StorageError) as error:
            return error
        assert restored in {None, self.done}
        return None


def nothing(place: Place) -> None:
    """A directory that no one has used."""


def one_step(place: Place) -> None:
    with place.manager() as manager:
        manager.save(1, tree(1))


def two_large_steps(place: Place) -> None:
    with place.manager() as manager:
        for step in (1, 2):
            manager.save(step, large(step))


def an_unnamed_step(place: Place) -> None:
    """What a job leaves that died after the index of a step and before the state file."""
    two_large_steps(place)
    with open_location(place.url, place.direct.storage_options) as directory:
        save_tree(directory.child("ckpt-3"), large(3))


def first_save(url: str, options: dict[str, Any], **limits: float) -> int | None:
    with ckpt.CheckpointManager(url, storage_options=options, **limits) as manager:
        manager.save(2, large(2))
    return None


def overwrite(url: str, options: dict[str, Any], **limits: float) -> int | None:
    """The newest step is saved again, with other values."""
    with ckpt.CheckpointManager(url, storage_options=options, **limits) as manager:
        manager.restore_latest()
        manager.save(1, large(2))
    return None


def retention(url: str, options: dict[str, Any], **limits: float) -> int | None:
    """A step is saved, and the one before it dropped."""
    with ckpt.CheckpointManager(url, max_to_keep=1, storage_options=options, **limits) as manager:
        manager.restore_latest()
        manager.save(2, large(2))
    return None


def restore(url: str, options: dict[str, Any], **limits: float) -> int | None:
    return number_of(ckpt.load(f"{url}/ckpt-2", storage_options=options, **limits))


def recovery(url: str, options: dict[str, Any], **limits: float) -> int | None:
    with ckpt.CheckpointManager(url, storage_options=options, **limits) as manager:
        found, step = manager.restore_latest()
    assert number_of(found) == step
    return number_of(found)


CASES = {
    "first save": Case(nothing, first_save, {None, 2}, 2),
    "overwrite": Case(one_step, overwrite, {1, 2}, 2),
    "retention": Case(one_step, retention, {1, 2}, 2),
    "restore": Case(two_large_steps, restore, {2}, 2),
    "recovery": Case(an_unnamed_step, recovery, {3}, 3),
}


def check(place: Place, acceptable: Collection[int | None]) -> None:
    """A restart finds one of these, saves on, and collection leaves only what is named."""
    with place.manager(max_to_keep=1) as manager:
        found = manager.restore_latest(default=None)
        assert (None if found is None else number_of(found[0])) in acceptable
        manager.save(99, tree(99))
        assert number_of(manager.restore_latest()[0]) == 99
    ckpt.collect_garbage(place.url, min_age=0, no_writers=True, storage_options=place.direct.storage_options)
    left = place.keys()
    assert left == place.needed()
    assert "ckpt-99.index" in left
    assert place.unfinished() == []
