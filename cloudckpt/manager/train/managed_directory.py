"""A directory as `train.CheckpointManager` keeps it: its list, the state file and what is on disk, in step.

The order of writes, and what holds after each (a crash may come between any two):

1. The checkpoint is committed; the state file names those from before.
2. The state file names it as the latest, beside all others, those that are to go included: so a restart makes them go.
3. Those are deleted, the index of each first.
4. The state file names what is left, and the time of the newest one that is preserved.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import CommitUnknownError, StateFileError, StorageError
from cloudckpt.manager.train.managed_checkpoints import Managed
from cloudckpt.state.checkpoint_state import state_naming
from cloudckpt.state.deletions import Deletions, Files
from cloudckpt.state.mtimes import find_checkpoint
from cloudckpt.state.places import Places, SaveDirectory, place_of
from cloudckpt.state.recovery import first_choices, named_steps
from cloudckpt.state.state_file import STATE_FILENAME
from cloudckpt.state.state_paths import joined
from cloudckpt.state.steps import checkpoint_name, step_of
from cloudckpt.state.update import name_checkpoints, rename_checkpoints
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudckpt.manager.train.managed_checkpoints import ManagedCheckpoints
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.state.state_file import CheckpointState

__all__ = ["ManagedDirectory"]

logger = logging.getLogger(__name__)


class ManagedDirectory:
    """The directory of one manager.

    Args:
        path: the directory, as the user wrote it.
        base_name: of the checkpoints.
        managed: the list, which this keeps in step.
        storage_options: options of the store, as fsspec takes them.
    """

    def __init__(
        self,
        path: str,
        base_name: str,
        managed: ManagedCheckpoints,
        storage_options: Mapping[str, Any] | None,
    ) -> None:
        self._path = path
        self._base_name = base_name
        self._managed = managed
        self._options = storage_options
        self._deletions = Deletions(storage_options)
        self._going: dict[str, Managed] = {}
        """what was dropped and could not be deleted yet; the state file goes on naming it"""

    def prefix(self, step: int) -> str:
        """The prefix of a checkpoint, as TensorFlow spells it."""
        return os.path.join(self._path, checkpoint_name(self._base_name, step))

    @contextmanager
    def opened(self) -> Iterator[SaveDirectory]:
        """The directory, open within the block."""
        path = os.path.join(self._path, STATE_FILENAME)
        with open_location(path, self._options) as file:
            yield SaveDirectory.of(path, file)

    def recover(self, view: DirectoryView) -> None:
        """Go on from what the state file says, if there is one. No request.

        Raises:
            StateFileError: it can't be read, or names no latest checkpoint.
        """
        state = view.read.state
        if view.read.error is not None:
            raise view.read.error
        if view.read.info is None:
            return
        if not state.latest:
            path = os.path.join(self._path, STATE_FILENAME)
            raise StateFileError(f"the state file {path!r} names no latest checkpoint", path=path)
        paths = [joined(self._path, path) for path in state.paths]
        found = [Managed(path, 0.0, _seen_version(view, step_of(path, self._base_name))) for path in paths]
        self._managed.recover(state, found)
        self._managed.latest = joined(self._path, state.latest)

    def restored(self, step: int, view: DirectoryView) -> None:
        """Let the checkpoint that was restored be the newest; it is managed from now on if its job died before that."""
        path = self.prefix(step)
        is_new = view.read.info is None or step in first_choices(view, self._base_name)
        if is_new and step not in named_steps(view, self._base_name) and path not in self._managed.paths:
            self._managed.record(path, _seen_version(view, step))
        self._managed.latest = path

    def record(self, path: str) -> None:
        """Manage a checkpoint that was just committed, as the latest. No request, so it is managed whatever follows."""
        self._managed.record(path, None)
        self._going.pop(path, None)
        self._deletions.forget(path)

    def keep(self, path: str, opened: SaveDirectory) -> None:
        """Name a checkpoint that was just recorded in the state file, and let go what is too old then.

        Args:
            path: its prefix.
            opened: the directory.

        Raises:
            CommitConflictError: other writers have swapped the state file again and again; nothing was deleted.
            CommitUnknownError: the answer was lost, and reading back did not prove who won.
            StorageError: the store failed; unless it was at a deletion, which the next save tries again.
        """
        self._managed.know_version(path, self._version(path, opened))
        state = self._state(path)
        written = name_checkpoints(opened.location, STATE_FILENAME, state, committed=path)
        self._let_go(opened)
        if (rest := self._state(path)) == state:
            return
        try:
            rename_checkpoints(opened.location, STATE_FILENAME, rest, written)
        except (CommitUnknownError, StorageError) as error:
            logger.warning("until the next save, the state file may name what was deleted: %s", error)

    def _version(self, path: str, opened: SaveDirectory) -> str | None:
        """Of the index of a checkpoint that was just committed."""
        with Places(self._options, opened) as places:
            found = find_checkpoint(places.at(path))
        return None if found is None else found.version

    def _let_go(self, opened: SaveDirectory) -> None:
        for dropped in self._managed.sweep():
            if place_of(os.path.dirname(dropped.path)) == place_of(os.path.dirname(self.prefix(0))):
                self._going[dropped.path] = dropped
                self._deletions.add(dropped.path, dropped.version)
            else:
                logger.warning("%s is dropped and stays, because it is in another directory", dropped.path)
        self._deletions.run(self._managed.paths, opened, Files())
        pending = self._deletions.pending
        self._going = {path: dropped for path, dropped in self._going.items() if path in pending}

    def _state(self, latest: str) -> CheckpointState:
        """What the state file is to name: all that is there, but what is preserved for good."""
        named = [*self._going.values(), *self._managed.all]
        return state_naming(
            self._path,
            latest,
            [managed.path for managed in named],
            [managed.timestamp for managed in named],
            self._managed.last_preserved,
            relative=True,
        )


def _seen_version(view: DirectoryView, step: int | None) -> str | None:
    """Of a step's index, as it was seen."""
    files = None if step is None else view.steps.get(step)
    return None if files is None or files.index is None else files.index.version
