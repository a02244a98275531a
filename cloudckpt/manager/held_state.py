"""The state file as a manager holds it: read once, swapped at each save, lost to whoever else swaps it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudckpt.errors import CloudckptError, CommitConflictError, PreconditionFailedError
from cloudckpt.manager.retired import delete_retired, look_up_retired
from cloudckpt.state.directory import ReadState, look, swap_state
from cloudckpt.state.recovery import steps_of
from cloudckpt.state.retention import Kept
from cloudckpt.state.state_file import CheckpointState, last_component
from cloudckpt.state.steps import checkpoint_name
from cloudckpt.state.transitions import adopted, before_save, own, saved

if TYPE_CHECKING:
    from collections.abc import Collection

    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["HeldState"]

logger = logging.getLogger(__name__)


class HeldState:
    """What one manager knows of its directory's state file, and the version it must still have at the next swap."""

    def __init__(
        self, directory: Location, base_name: str, *, max_to_keep: int | None, keep_every_n_hours: float | None
    ) -> None:
        self._directory = directory
        self._base_name = base_name
        self._max_to_keep = max_to_keep
        self._keep_every_n_hours = keep_every_n_hours
        self._read: ReadState | None = None
        self._lost = False
        self._indexes: dict[int, str] = {}
        """the versions of the index of steps that were there, or that this manager saved"""
        self._deleted: set[str] = set()
        """what the state lists as retired, and is gone"""

    def take(self, view: DirectoryView, restored: Kept | None = None) -> None:
        """Hold the state of a view. The checkpoint that was restored is named from the next swap on."""
        state = own(view.read.state, self._base_name, view.steps)
        if restored is not None:
            state = adopted(state, restored, self._base_name)
        self._read, self._lost, self._deleted = ReadState(state, view.read.info), False, set()
        self._indexes = {step: files.index.version for step, files in view.steps.items() if files.index}

    def lose(self) -> None:
        """Another writer has won: raise at every save until the state is taken again."""
        self._lost = True

    def check(self) -> None:
        """Before a save: hold the state, unless another writer has won. A GET and a LIST if it was not taken before.

        Raises:
            CommitConflictError: another writer swapped the state since this one last looked.
            StateFileError: it can't be read.
        """
        if self._lost:
            raise self._conflict(None)
        if self._read is None:
            view = look(self._directory, self._base_name)
            if view.read.error is not None:
                raise view.read.error
            self.take(view)

    def make_way(self, step: int) -> None:
        """Before a step's index is written: leave what follows if the step goes back in time.

        One PUT if it does, or if the step is one that the state lists as retired; else none.

        Raises:
            CommitConflictError: another writer swapped the state since this one last looked.
        """
        state = before_save(self._state, step, self._base_name)
        if state != self._state:
            logger.info("step %d of %s is saved again, or before %s", step, self._directory.url, self._state.latest)
            self._swap(state, committed=None)

    def is_new(self, step: int) -> bool:
        """Whether no checkpoint of that step was ever here, as far as the state remembers."""
        known = (*self._state.paths, *self._state.retired, *self._state.left)
        return step > max(steps_of(known, self._base_name), default=-1)

    def replaceable(self, step: int) -> Collection[str] | None:
        """The versions of the step's index that are not another writer's work; None where a store can't tell."""
        if not self._directory.store.capabilities.replace_if_version:
            return None
        return {self._indexes[step]} if step in self._indexes else ()

    def name(self, step: int, index: ObjectInfo, *, committed: str) -> None:
        """Swap in the state that names a step just committed, then delete what that state retires.

        Args:
            step: the step.
            index: its index.
            committed: its prefix, for the error.

        Raises:
            CommitConflictError: another writer swapped the state; the checkpoint stays, and nothing is deleted.
        """
        self._indexes[step] = index.version
        saved_at = index.modified or time.time()  # some filesystems know no times
        checkpoint = Kept(checkpoint_name(self._base_name, step), saved_at)
        state = saved(
            replace(self._state, retired=tuple(name for name in self._state.retired if name not in self._deleted)),
            checkpoint,
            max_to_keep=self._max_to_keep,
            keep_every_n_hours=self._keep_every_n_hours,
            deletable=self._is_inside,
        )
        retired = look_up_retired(self._directory, state.retired)
        try:
            self._swap(state, committed=committed)
        except CloudckptError:
            # It is committed all the same: the next swap names it.
            self._read = ReadState(adopted(self._state, checkpoint, self._base_name), self._replaced)
            raise
        # The file goes on listing them as retired until the next swap.
        self._deleted = delete_retired(retired)

    @property
    def _state(self) -> CheckpointState:
        return self._read.state if self._read is not None else CheckpointState()

    @property
    def _replaced(self) -> ObjectInfo | None:
        """The state file that the next swap replaces."""
        return self._read.info if self._read is not None else None

    def _swap(self, state: CheckpointState, *, committed: str | None) -> None:
        try:
            info = swap_state(self._directory, state, self._replaced)
        except PreconditionFailedError as error:
            self.lose()
            raise self._conflict(committed) from error
        self._read = ReadState(state, info)

    def _is_inside(self, path: str) -> bool:
        name = last_component(path)
        return path in {name, self._directory.child(name).url}

    def _conflict(self, committed: str | None) -> CommitConflictError:
        what = f"{committed!r} is committed and stays, but" if committed else "nothing was saved:"
        return CommitConflictError(
            f"{what} another writer has saved in {self._directory.url!r} since this manager last looked. See to it "
            "that one job writes there, and call restore_latest before the next save",
            path=self._directory.url,
            committed=committed,
        )
