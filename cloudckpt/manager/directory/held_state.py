"""What one manager knows of its directory: the state file that it holds, and which indexes are its own."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from cloudckpt.callers import warn_caller
from cloudckpt.checkpoint.conflict import conflict
from cloudckpt.checkpoint.delete import delete_checkpoint, find_doomed
from cloudckpt.checkpoint.quarantine import put_aside as quarantine
from cloudckpt.checkpoint.save_time import MAX_SAVE_TIME
from cloudckpt.errors import CheckpointNotFoundError, CloudckptError, PreconditionFailedError, RecoveryWarning
from cloudckpt.manager.directory.deletion import refuse_last
from cloudckpt.manager.directory.held_file import HeldFile
from cloudckpt.manager.directory.metrics_tensor import find_metrics
from cloudckpt.manager.directory.retired import delete_retired, look_up_retired
from cloudckpt.manager.reporting.watch import phase
from cloudckpt.state.directory import ReadState, look
from cloudckpt.state.policies import Best
from cloudckpt.state.recovery import steps_of
from cloudckpt.state.retention import Kept
from cloudckpt.state.state_file import last_component
from cloudckpt.state.steps import checkpoint_name
from cloudckpt.state.transitions import adopted, before_save, deleted, gone, named, own, put_aside, rated, saved
from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cloudckpt.errors import CommitConflictError, CommitUnknownError, Winner
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.state.policies import Policy
    from cloudckpt.state.state_file import CheckpointState
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["HeldState"]

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _alone(
    method: Callable[Concatenate[HeldState, Arguments], Result],
) -> Callable[Concatenate[HeldState, Arguments], Result]:
    """Let one thread at a time be in the method, and in any other that is marked so."""

    @wraps(method)
    def alone(self: HeldState, /, *args: Arguments.args, **options: Arguments.kwargs) -> Result:
        with self.lock.get():
            return method(self, *args, **options)

    return alone


class HeldState:
    """What a save, a restore and a deletion change, and what decides whether the next save may go on.

    Any thread may call its methods: each is one step under one lock, which is held during a swap of the state file and
    never while data is sent or read. Saves and deletions of one manager come one after another all the same (`Tier`).

    Args:
        directory: of the checkpoints.
        base_name: theirs.
        keep: which of them stay.
        max_save_time: seconds, if saves may take longer than usual.
    """

    def __init__(
        self, directory: Location, base_name: str, *, keep: Policy, max_save_time: float | None = None
    ) -> None:
        self.lock = PerProcess(RLock)
        self._directory = directory
        self._base_name = base_name
        self._keep = keep
        self._needs_metrics = any(isinstance(policy, Best) for policy in keep.members)
        self._longer = max_save_time if max_save_time and max_save_time > MAX_SAVE_TIME else None
        """what saves may take, in seconds, where collectors must be told that it is more than usual"""
        self._file = HeldFile(directory, base_name)
        self._attempted: set[int] = set()
        """steps that this manager has begun to save, some of whose data may be deleted late"""
        self._indexes: dict[int, str] = {}
        """the versions of the index of steps that were there, or that this manager saved"""
        self._deleted: set[str] = set()
        """what the state lists as retired, and is gone"""

    @property
    def swaps(self) -> int:
        """How often the state file was swapped: whoever takes a view says how many swaps it has seen."""
        return self._file.swaps

    @_alone
    def take(self, view: DirectoryView, restored: Kept | None = None, *, swaps: int | None = None) -> None:
        """Hold the state of a view. The checkpoint that was restored is named from the next swap on.

        Args:
            view: what was seen.
            restored: the checkpoint.
            swaps: how often the state file had been swapped before the look. If it has been since, by a save in another
                thread, the view is older than what is held, which stays.
        """
        if swaps is None or swaps == self._file.swaps:
            state = own(view.read.state, self._base_name, view.steps)
            self._file.take(ReadState(state, view.read.info))
            self._deleted = set()
            self._indexes = {step: files.index.version for step, files in view.steps.items() if files.index}
        if restored is not None:
            self._file.state = adopted(self._file.state, restored, self._base_name)

    @_alone
    def lose(self, error: CommitConflictError) -> None:
        """Another writer has won: raise at every save until the state is taken again."""
        self._file.lose(error)

    @_alone
    def doubt(self, error: CommitUnknownError) -> None:
        """Nobody knows whether a write of this manager has arrived: what is found with its id is no other writer's."""
        self._file.doubt(error)

    @_alone
    def settle(self, step: int, winner: Winner | None) -> bool:
        """Whether the index that a save of the step has met is one that this manager has written, without knowing."""
        if winner is None or not self._file.is_own(winner):
            return False
        self._indexes[step] = winner.version
        return True

    @_alone
    def check(self) -> None:
        """Before a save: hold the state, unless another writer has won. A GET and a LIST if it was not taken before.

        Where saves may take longer than usual, the state says so from here on, before any data is written: a PUT,
        once.

        Raises:
            CommitConflictError: another writer swapped the state since this one last looked.
            StateFileError: it can't be read.
        """
        self._file.check()
        if not self._file.is_held:
            view = look(self._directory, self._base_name)
            if view.read.error is not None:
                raise view.read.error
            self.take(view)
        if self._longer and self._longer > (self._file.state.max_save_time or 0):
            self._file.swap(replace(self._file.state, max_save_time=self._longer))

    @_alone
    def make_way(self, step: int) -> None:
        """Before a step's index is written: leave what follows if the step goes back in time.

        One PUT if it does, or if the step is one that the state lists as retired; else none, or a GET where saves may
        take longer than usual.

        Raises:
            CommitConflictError: another writer swapped the state since this one last looked.
        """
        held = self._file.state
        state = before_save(held, step, self._base_name, self._indexes.get(step, ""))
        if state != held:
            logger.info("step %d of %s is saved again, or before %s", step, self._directory.url, held.latest)
            self._file.swap(state)
        elif self._longer:
            # Whoever replaced the state may not have told collectors how long saves take.
            self._file.require_held()

    @_alone
    def attempt(self, step: int) -> bool:
        """Begin to save a step. Whether none of that step was here before, as far as the state and this manager know.

        One that was attempted before may have left data, and DELETEs of it that arrive late.
        """
        state = self._file.state
        known = (*state.paths, *state.retired, *state.left)
        is_new = step > max(steps_of(known, self._base_name), default=-1) and step not in self._attempted
        self._attempted.add(step)
        return is_new

    @_alone
    def replaceable(self, step: int) -> Collection[str] | None:
        """The versions of the step's index that are not another writer's work; None where a store can't tell."""
        if not self._directory.store.capabilities.replace_if_version:
            return None
        return {self._indexes[step]} if step in self._indexes else ()

    @_alone
    def name(self, step: int, index: ObjectInfo, *, committed: str, metrics: Mapping[str, float] | None = None) -> None:
        """Swap in the state that names a step just committed, then delete what that state retires.

        Args:
            step: the step.
            index: its index.
            committed: its prefix, for the error.
            metrics: what was saved with it.

        Raises:
            CommitConflictError: another writer swapped the state; the checkpoint stays, and nothing is deleted.
        """
        self._indexes[step] = index.version
        saved_at = index.modified or time.time()  # some filesystems know no times
        known = metrics or ({} if self._needs_metrics else None)
        checkpoint = Kept(checkpoint_name(self._base_name, step), saved_at, known)
        state = saved(self._rated(self._without_deleted()), checkpoint, keep=self._keep, deletable=self._is_inside)
        retired = look_up_retired(self._directory, state.retired)
        try:
            self._file.swap(state, committed=committed)
        except CloudckptError:
            # It is committed all the same: the next swap names it.
            self._file.state = adopted(self._file.state, checkpoint, self._base_name)
            raise
        if retired:
            phase("retention")
        # The file goes on listing them as retired until the next swap.
        self._deleted = delete_retired(retired)

    @_alone
    def delete(self, step: int) -> None:
        """Name a step no more, delete it, and list it no more. Two swaps of the state, what is before and between them.

        Raises:
            CheckpointNotFoundError: there is no such step.
            InvalidArgumentError: it is the last one that a job could be resumed from.
            CommitConflictError: another writer swapped the state, or saved the step; nothing was deleted.
            StorageError: the store failed. If the state names the step no more, the next save goes on deleting it.
        """
        name, view = checkpoint_name(self._base_name, step), look(self._directory, self._base_name)
        doomed = find_doomed(self._directory.child(name), even_damaged=True)
        if doomed is None:
            url = self._directory.child(name).url
            raise CheckpointNotFoundError(f"there is no checkpoint {url!r} to delete", path=url)
        held = self._file.state
        refuse_last(view, held, step, self._directory, self._base_name)
        if held.latest:  # without a state file no other checkpoint needs one to be found, either
            self._file.swap(deleted(held, name))
        try:
            delete_checkpoint(doomed)
        except PreconditionFailedError as error:
            raise conflict(doomed.prefix) from error
        self._indexes.pop(step, None)
        if held.latest:
            self._forget(name)

    def _forget(self, name: str) -> None:
        """List a checkpoint that is gone as retired no more: what somebody copies there from now on is theirs."""
        self._deleted.add(name)
        try:
            self._file.swap(gone(self._file.state, name, self._base_name))
        except CloudckptError as error:
            logger.warning("%s is deleted; the next save notes it, for: %s", self._directory.child(name).url, error)

    @_alone
    def put_aside(self, broken: Mapping[int, ObjectInfo]) -> None:
        """Name broken checkpoints no more, then put them aside; a `RecoveryWarning` where that does not go well.

        Only after a swap of the state, as for every deletion: another writer may be saving one of them anew. One that
        this manager has saved anew meanwhile is not touched.

        Args:
            broken: their indexes, as they were found, by step.
        """
        broken = {step: index for step, index in broken.items() if self._indexes.get(step) == index.version}
        state = self._file.state
        for step in broken:
            state = put_aside(state, checkpoint_name(self._base_name, step))
        try:
            self._file.swap(state)
            for step, index in broken.items():
                quarantine(self._directory.child(checkpoint_name(self._base_name, step)), index)
                self._indexes.pop(step, None)
        except CloudckptError as error:
            where = f"steps {sorted(broken)} in {self._directory.url!r}"
            warn_caller(f"{where} are broken, and not all put aside: {error}", RecoveryWarning)

    def _without_deleted(self) -> CheckpointState:
        """The state without those retired ones that are gone."""
        state = self._file.state
        return replace(state, retired=tuple(name for name in state.retired if name not in self._deleted))

    def _rated(self, state: CheckpointState) -> CheckpointState:
        """The state with the metrics of all checkpoints, where a policy compares them; unknown ones are looked up."""
        if not self._needs_metrics:
            return state
        unknown = [each.path for each in named(state) if each.metrics is None and self._is_inside(each.path)]
        found = {path: find_metrics(self._directory.child(last_component(path))) for path in unknown}
        return rated(state, {path: metrics for path, metrics in found.items() if metrics is not None})

    def _is_inside(self, path: str) -> bool:
        name = last_component(path)
        return path in {name, self._directory.child(name).url}
