"""Deleting the checkpoints that a saver, or a manager like TensorFlow's, has dropped from its list, and no others.

One that this saver has saved under a name is deleted only while it is still there as this saver wrote it, and no
longer than any other state file of the directory names it: so two savers in one directory, each with a state file of
its own, delete nothing that the other has saved or keeps. Where a store can't delete on a condition, another saver that
overwrites a checkpoint while it is being deleted may lose it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.bundle.naming import meta_graph_filename
from cloudckpt.checkpoint.delete import delete_found, delete_written, find_doomed
from cloudckpt.checkpoint.v1_files import own_files
from cloudckpt.errors import CloudckptError, PreconditionFailedError, StorageError
from cloudckpt.state.other_states import OtherStates
from cloudckpt.state.places import Places, place_of
from cloudckpt.state.remove import VERSION_2
from cloudckpt.state.state_file import STATE_FILENAME, last_component
from cloudckpt.storage.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from cloudckpt.state.places import SaveDirectory
    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["Deletions", "Files"]

logger = logging.getLogger(__name__)


class Files(NamedTuple):
    """What a saver calls the files that it writes."""

    state: str = STATE_FILENAME
    """the state file"""
    format_version: int = VERSION_2
    """`SaverDef.V2`, or `SaverDef.V1`"""
    meta_graph_suffix: str = "meta"
    """what the file with a checkpoint's meta graph ends in, which goes along"""


@dataclass(slots=True)
class _Pending:
    """A checkpoint that is to be deleted."""

    name: str
    version: str | None
    found: tuple[ObjectInfo, ...] | None = None
    """its files, once it is being deleted"""


class Deletions:
    """What one saver has yet to delete. What can't be deleted now is tried again at the next call of `run`.

    Args:
        storage_options: options of the stores, as fsspec takes them.
    """

    def __init__(self, storage_options: Mapping[str, Any] | None) -> None:
        self._options = storage_options
        self._pending: list[_Pending] = []
        self._other_states = OtherStates()

    @property
    def pending(self) -> list[str]:
        """The checkpoints that are yet to be deleted, in the order in which they were dropped; a fresh list."""
        return [pending.name for pending in self._pending]

    def add(self, name: str, version: str | None) -> None:
        """Let a checkpoint be deleted, if it is still of that version; of any, if that is None."""
        self._pending.append(_Pending(name, version))

    def forget(self, name: str) -> None:
        """A checkpoint is not to be deleted after all."""
        self._pending = [pending for pending in self._pending if pending.name != name]

    def run(self, kept: Iterable[str], directory: SaveDirectory, files: Files) -> None:
        """Delete what can be deleted now. Nothing is raised for what can't: it is logged.

        Args:
            kept: paths of checkpoints that stay, however else they were written when they were to be deleted.
            directory: the one that the saver saves in.
            files: how its files are called.

        Cost: nothing if there is nothing to delete; else a LIST of the directory, a GET for each of its files that may
        be another state file and has changed, and for each checkpoint a GET, a DELETE and a batch of deletes.
        """
        places = {place_of(name) for name in kept}
        self._pending = [pending for pending in self._pending if place_of(pending.name) not in places]
        if not self._pending:
            return
        try:
            surroundings = self._look_around(directory.location, files.state)
        except StorageError as error:
            names = [redacted(pending.name) for pending in self._pending]
            logger.warning("%s can't be deleted now; the next save tries again: %s", names, error)
            return
        with Places(self._options, directory) as opened:
            self._pending = [
                pending for pending in self._pending if not self._settle(pending, opened, surroundings, files)
            ]

    def _look_around(self, directory: Location, state: str) -> _Surroundings:
        listing = list(directory.store.list(directory.child("").key))
        named = self._other_states.names(directory, listing, state)
        return _Surroundings(directory.url, {info.key: info for info in listing}, named)

    def _settle(self, pending: _Pending, opened: Places, around: _Surroundings, files: Files) -> bool:
        """Delete one; whether nothing remains to be done about it."""
        try:
            prefix = opened.at(pending.name)
            if around.are_of(prefix) and last_component(pending.name) in around.named:
                logger.info("%s stays as long as another state file beside it names it", prefix.url)
                return False
            _delete(pending, prefix, around.listed(prefix), files)
        except PreconditionFailedError as error:
            logger.warning("%s was to be deleted, and stays: %s", redacted(pending.name), error)
        except StorageError as error:
            logger.warning("%s could not be deleted; the next save tries again: %s", redacted(pending.name), error)
            return False
        except CloudckptError as error:
            logger.warning("%s was to be deleted, and stays: %s", redacted(pending.name), error)
        return True


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What is in the directory that a saver saves in."""

    url: str
    listing: Mapping[str, ObjectInfo]
    named: Collection[str]
    """by state files of other savers: the last components of the paths of checkpoints"""

    def are_of(self, prefix: Location) -> bool:
        """Whether a checkpoint is in this directory; it may have been saved in another one."""
        # The URL of a whole bucket may end in "/".
        return os.path.dirname(prefix.url).rstrip("/") == self.url.rstrip("/")

    def listed(self, prefix: Location) -> Mapping[str, ObjectInfo]:
        """A checkpoint's files as they were listed, and maybe others, by their keys. A LIST in another directory."""
        if self.are_of(prefix):
            return self.listing
        shared = meta_graph_filename(prefix.key, "")
        return {info.key: info for info in prefix.store.list(shared)}


def _delete(pending: _Pending, prefix: Location, listed: Mapping[str, ObjectInfo], files: Files) -> None:
    """Delete what makes a checkpoint of the prefix, then all else of it.

    Raises:
        PreconditionFailedError: what is there is not what this saver has saved; it stays.
        StorageError: the store failed. The next call deletes nothing but what this one has found: the prefix may have
            been saved again meanwhile.
    """
    store = prefix.store
    if pending.found is not None:
        for info in pending.found:
            delete_written(store, info)
        return
    marks, keys = _find_v2(prefix) if files.format_version == VERSION_2 else _find_v1(prefix)
    if marks and pending.version not in (None, marks[0].version):
        raise PreconditionFailedError("another saver has saved it since", path=prefix.url)
    keys.append(meta_graph_filename(prefix.key, files.meta_graph_suffix))
    pending.found = (*marks, *(listed[key] for key in keys if key in listed))
    for info in marks:
        delete_found(store, info)
    store.delete(keys)


def _find_v2(prefix: Location) -> tuple[list[ObjectInfo], list[str]]:
    """What makes a checkpoint of a prefix, if there is one, and the keys of what else it has."""
    doomed = find_doomed(prefix, even_damaged=True)
    return ([], []) if doomed is None else ([doomed.index], [*doomed.data_files])


def _find_v1(prefix: Location) -> tuple[list[ObjectInfo], list[str]]:
    """The same in version 1 of the format: its file, or its first shard, without which the others are no checkpoint."""
    found = own_files(prefix)
    return found[:1], [info.key for info in found[1:]]
