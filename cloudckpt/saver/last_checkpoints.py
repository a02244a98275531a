"""A saver's list of the checkpoints that it keeps, and which of them go: TensorFlow's retention to the letter.

Each save drops one checkpoint at most, the oldest, when there are more than `max_to_keep`. What is dropped is deleted
unless it is younger than the saver's next time to keep one for good, which is then put off by `keep_every_n_hours`.
Sources: python/training/saver.py, Saver._RecordLastCheckpoint and Saver._MaybeDeleteOldCheckpoints.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.state.checkpoint_state import write_state
from cloudckpt.state.deletions import Deletions
from cloudckpt.state.mtimes import find_with_mtime
from cloudckpt.state.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudckpt.state.deletions import Files
    from cloudckpt.state.places import SaveDirectory

__all__ = ["LastCheckpoints"]


class _Saved(NamedTuple):
    """A checkpoint in the list."""

    name: str
    time: float
    """when it was saved, seconds since the epoch by this machine's clock; of one that was recovered, by the store's"""
    version: str | None
    """of the file that makes it a checkpoint, as this saver wrote or found it; None if it does not know"""


class LastCheckpoints:
    """What one saver has saved and not yet dropped, oldest first. Not for several threads at a time.

    A save calls `record` when its checkpoint is committed, then `write_state`, then `delete_dropped`: so nothing is
    deleted before both commits.

    Args:
        max_to_keep: how many to keep; None or 0 for all, and then none is listed.
        keep_every_n_hours: beside them one for every so many hours; the hours begin now. None as 0: all of them that
            are saved from now on.
        storage_options: options of the store, as fsspec takes them.

    Raises:
        InvalidArgumentError: `max_to_keep` is negative: the checkpoint just saved would be deleted.
    """

    def __init__(
        self,
        max_to_keep: int | None,
        keep_every_n_hours: float | None,
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        if max_to_keep is not None and max_to_keep < 0:
            raise InvalidArgumentError(f"max_to_keep must be at least 0, or None, got {max_to_keep}")
        self._max_to_keep = max_to_keep or 0
        # As a SaverDef has it, the hours are a float32.
        self._interval = float(np.float32(keep_every_n_hours or 0.0)) * 3600
        self._next_time = time.time() + self._interval
        self._options = storage_options
        self._saved: list[_Saved] = []
        self._dropped: list[_Saved] = []
        """what is no longer in the list, and of which nobody has decided yet whether it goes"""
        self._deletions = Deletions(storage_options)

    @property
    def names(self) -> list[str]:
        """The paths, oldest first, as they were recorded or set; a fresh list."""
        return [saved.name for saved in self._saved]

    def restart_hours(self) -> None:
        """Let the hours begin now: a saver that is built later counts from then."""
        self._next_time = time.time() + self._interval

    def set(self, names: list[str]) -> None:
        """Take these for the list, none of which is ever deleted: their time counts as infinitely late. No request.

        Raises:
            AssertionError: it is no list.
        """
        _require_list(names)
        self.set_with_time([(name, math.inf) for name in names])

    def set_with_time(self, names_with_time: list[tuple[str, float]]) -> None:
        """Take these for the list, with the times at which they were saved, seconds since the epoch. No request.

        Raises:
            AssertionError: it is no list.
        """
        _require_list(names_with_time)
        self._saved = [_Saved(name, saved_at, None) for name, saved_at in names_with_time]

    def recover(self, names: Iterable[str]) -> None:
        """Take those of these that are there for the list, with their files' times. A request each, or a few for V1.

        Raises:
            StorageError: the store failed; that a checkpoint is not there (any more) is no error.
        """
        recovered = []
        with Places(self._options) as places:
            for name in names:
                found = find_with_mtime(places.at(name))
                if found is not None:
                    recovered.append(_Saved(name, found.modified, found.version))
        self._saved = recovered

    def record(self, name: str, version: str | None = None) -> None:
        """Put a checkpoint that was just committed at the end of the list, and drop the oldest if there are too many.

        Args:
            name: its path, as the user wrote it.
            version: of its `.index`, or of its V1 file, as the commit wrote it. None if that is not known: then what
                is there when it is deleted is deleted.
        """
        self._deletions.forget(name)
        self._dropped = [dropped for dropped in self._dropped if dropped.name != name]
        if not self._max_to_keep:
            return
        self._saved = [saved for saved in self._saved if saved.name != name]
        self._saved.append(_Saved(name, time.time(), version))
        if len(self._saved) > self._max_to_keep:
            self._dropped.append(self._saved.pop(0))

    def saved_again(self, name: str, version: str | None) -> None:
        """Know the version of a checkpoint that this saver has replaced without recording it, if it is in the list."""
        self._saved = [saved._replace(version=version) if saved.name == name else saved for saved in self._saved]

    def write_state(
        self,
        directory: SaveDirectory,
        name: str,
        *,
        latest_filename: str | None = None,
        save_relative_paths: bool = False,
    ) -> None:
        """Let the directory's state file name the list, and a checkpoint as the latest. A GET and a PUT.

        Args:
            directory: of the checkpoint that was just saved.
            name: that checkpoint's path, as the user wrote it.
            latest_filename: the state file's name; "checkpoint" by default.
            save_relative_paths: whether paths in it are relative to the directory.

        Raises:
            CommitConflictError: other writers swapped the state again and again. Its `committed` is the checkpoint,
                which stays; nothing is deleted.
            CommitUnknownError: the answer was lost, and reading back did not prove who won.
            RuntimeError: the checkpoint has the state file's own path.
            StorageError: the store failed.
        """
        write_state(
            directory,
            name,
            self.names,
            latest_filename=latest_filename,
            save_relative_paths=save_relative_paths,
        )

    def delete_dropped(self, directory: SaveDirectory, files: Files) -> None:
        """Delete what was dropped, and what could not be deleted at earlier saves.

        Nothing is raised for a checkpoint that can't be deleted now: it is logged, and tried again at the next call.

        Args:
            directory: of the checkpoint that was just saved, with its state written.
            files: what this saver calls those that it writes, the state file among them.

        Cost: that of `Deletions.run`.
        """
        while self._dropped:
            dropped = self._dropped.pop(0)
            if dropped.time > self._next_time:
                self._next_time += self._interval
            else:
                self._deletions.add(dropped.name, dropped.version)
        self._deletions.run(self.names, directory, files)


def _require_list(given: object) -> None:
    if not isinstance(given, list):
        raise AssertionError(f"a list of checkpoints is expected, got {type(given).__name__}")  # noqa: TRY004 - TensorFlow's class
