"""The state file as a manager holds it: read once, swapped at each save, lost to whoever else swaps it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudckpt.checkpoint.conflict import winner_of
from cloudckpt.checkpoint.save_time import MAX_SAVE_TIME
from cloudckpt.errors import (
    CloudckptError,
    CommitConflictError,
    CommitUnknownError,
    PreconditionFailedError,
    StorageError,
)
from cloudckpt.manager.retired import delete_retired, look_up_retired
from cloudckpt.state.directory import ReadState, look, read_state, swap_state
from cloudckpt.state.recovery import steps_of
from cloudckpt.state.retention import Kept
from cloudckpt.state.state_file import CheckpointState, last_component
from cloudckpt.state.steps import checkpoint_name, step_of
from cloudckpt.state.transitions import adopted, before_save, own, saved

if TYPE_CHECKING:
    from collections.abc import Collection

    from cloudckpt.errors import Winner
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["HeldState"]

logger = logging.getLogger(__name__)


class HeldState:
    """What one manager knows of its directory's state file, and the version it must still have at the next swap."""

    def __init__(
        self,
        directory: Location,
        base_name: str,
        *,
        max_to_keep: int | None,
        keep_every_n_hours: float | None,
        max_save_time: float | None = None,
    ) -> None:
        self._directory = directory
        self._base_name = base_name
        self._max_to_keep = max_to_keep
        self._keep_every_n_hours = keep_every_n_hours
        self._longer = max_save_time if max_save_time and max_save_time > MAX_SAVE_TIME else None
        """what saves may take, in seconds, where collectors must be told that it is more than usual"""
        self._read: ReadState | None = None
        self._lost: CommitConflictError | None = None
        self._unproved: set[str] = set()
        """the commit ids of writes of this manager of which nobody knows whether they arrived"""
        self._attempted: set[int] = set()
        """steps that this manager has begun to save, some of whose data may be deleted late"""
        self._indexes: dict[int, str] = {}
        """the versions of the index of steps that were there, or that this manager saved"""
        self._deleted: set[str] = set()
        """what the state lists as retired, and is gone"""

    def take(self, view: DirectoryView, restored: Kept | None = None) -> None:
        """Hold the state of a view. The checkpoint that was restored is named from the next swap on."""
        state = own(view.read.state, self._base_name, view.steps)
        if restored is not None:
            state = adopted(state, restored, self._base_name)
        self._read, self._lost, self._deleted = ReadState(state, view.read.info), None, set()
        self._indexes = {step: files.index.version for step, files in view.steps.items() if files.index}

    def lose(self, error: CommitConflictError) -> None:
        """Another writer has won: raise at every save until the state is taken again."""
        self._lost = error

    def doubt(self, error: CommitUnknownError) -> None:
        """Nobody knows whether a write of this manager has arrived: what is found with its id is no other writer's."""
        if error.commit_id is not None:
            self._unproved.add(error.commit_id)

    def settle(self, step: int, winner: Winner | None) -> bool:
        """Whether the index that a save of the step has met is one that this manager has written, without knowing."""
        if winner is None or winner.commit_id not in self._unproved:
            return False
        self._indexes[step] = winner.version
        return True

    def check(self) -> None:
        """Before a save: hold the state, unless another writer has won. A GET and a LIST if it was not taken before.

        Where saves may take longer than usual, the state says so from here on, before any data is written: a PUT,
        once.

        Raises:
            CommitConflictError: another writer swapped the state since this one last looked.
            StateFileError: it can't be read.
        """
        if self._lost is not None:
            raise self._conflict(None, self._lost.winner)
        if self._read is None:
            view = look(self._directory, self._base_name)
            if view.read.error is not None:
                raise view.read.error
            self.take(view)
        if self._longer and self._longer > (self._state.max_save_time or 0):
            self._swap(replace(self._state, max_save_time=self._longer), committed=None)

    def make_way(self, step: int) -> None:
        """Before a step's index is written: leave what follows if the step goes back in time.

        One PUT if it does, or if the step is one that the state lists as retired; else none, or a GET where saves may
        take longer than usual.

        Raises:
            CommitConflictError: another writer swapped the state since this one last looked.
        """
        state = before_save(self._state, step, self._base_name, self._indexes.get(step, ""))
        if state != self._state:
            logger.info("step %d of %s is saved again, or before %s", step, self._directory.url, self._state.latest)
            self._swap(state, committed=None)
        elif self._longer:
            self._require_held()

    def attempt(self, step: int) -> bool:
        """Begin to save a step. Whether none of that step was here before, as far as the state and this manager know.

        One that was attempted before may have left data, and DELETEs of it that arrive late.
        """
        known = (*self._state.paths, *self._state.retired, *self._state.left)
        is_new = step > max(steps_of(known, self._base_name), default=-1) and step not in self._attempted
        self._attempted.add(step)
        return is_new

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
            self._read = ReadState(state, swap_state(self._directory, state, self._replaced))
        except CommitUnknownError as error:
            self.doubt(error)
            raise
        except PreconditionFailedError as error:
            if not self._take_own(found := self._look_again()):
                raise self._defeat(committed, found) from error
            self._swap(state, committed=committed)

    def _take_own(self, found: ReadState | None) -> bool:
        """Hold the state that was found in the place of the held one, if this manager wrote it without an answer.

        Returns:
            Whether it did.
        """
        if found is None or found.info is None or found.info.commit_id not in self._unproved:
            return False
        self._unproved.discard(found.info.commit_id)
        self._read = ReadState(self._state, found.info)
        return True

    def _look_again(self) -> ReadState | None:
        """The state file as it is now; None if it can't be had."""
        try:
            return read_state(self._directory)
        except StorageError as error:
            logger.info("the state file in %s can't be looked at: %s", self._directory.url, error)
            return None

    def _require_held(self) -> None:
        """See that collectors were told all the time how long saves take: whoever replaced the state may not have."""
        found = read_state(self._directory)
        is_held = self._replaced is not None and found.info is not None and found.info.version == self._replaced.version
        if not is_held and not self._take_own(found):
            raise self._defeat(None, found)

    def _is_inside(self, path: str) -> bool:
        name = last_component(path)
        return path in {name, self._directory.child(name).url}

    def _defeat(self, committed: str | None, found: ReadState | None) -> CommitConflictError:
        """The error about the state that was found in the place of the one that is held."""
        winner = None
        if found is not None and found.info is not None:
            winner = winner_of(self._directory, found.info, step_of(found.state.latest, self._base_name))
        self._lost = self._conflict(committed, winner)
        return self._lost

    def _conflict(self, committed: str | None, winner: Winner | None) -> CommitConflictError:
        what = f"{committed!r} is committed and stays, but" if committed else "nothing was saved:"
        who = "" if winner is None else f", {winner}"
        return CommitConflictError(
            f"{what} another writer has saved in {self._directory.url!r} since this manager last looked{who}. See to "
            "it that one job writes there, and call restore_latest before the next save",
            path=self._directory.url,
            committed=committed,
            winner=winner,
        )
