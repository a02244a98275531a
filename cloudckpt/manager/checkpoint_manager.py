"""The manager that a training loop talks to: save a step, and come back to the newest whole one."""

from __future__ import annotations

import logging
import operator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from cloudckpt.checkpoint.commit import SavedCheckpoint, save_tensors
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.save_time import collection_age
from cloudckpt.errors import CheckpointNotFoundError, CloudckptError, CommitConflictError, CommitUnknownError
from cloudckpt.garbage.collect import MIN_AGE, collect_in
from cloudckpt.manager.held_state import HeldState
from cloudckpt.manager.newest import newest_whole
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import tensors_of
from cloudckpt.state.directory import DirectoryView, look
from cloudckpt.state.recovery import steps_of
from cloudckpt.state.retention import Kept
from cloudckpt.state.state_file import LONGEST_SAVE_TIME
from cloudckpt.state.steps import MAX_STEP, checkpoint_name
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.open import Location, open_location

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.garbage.report import GarbageReport

__all__ = ["CheckpointManager"]

logger = logging.getLogger(__name__)

NO_DEFAULT: Any = object()


class CheckpointManager:
    """One directory of checkpoints, `<directory>/ckpt-<step>`: saves steps, drops old ones, and finds the newest.

    A step counts from the moment `save` returns, and a crash at any earlier moment leaves the step before it. What is
    too old is deleted only after that. Two managers of one directory never mix: the one that comes second gets
    `CommitConflictError`, and raises it at every save until it restores again. Not for several threads at once.

    It writes the `checkpoint` state file that TensorFlow reads, and takes over directories that TensorFlow wrote.

    Args:
        directory: a local path, or any URL that fsspec reads; made when the first step is saved.
        max_to_keep: how many of the newest steps stay; None or 0 for all.
        keep_every_n_hours: of the older steps, keep one for every so many hours, for ever.
        max_save_time: seconds that a save may take until its commit, 12 hours by default. What is longer is written
            into the state file before the first save, and collectors of garbage wait accordingly (`collect_garbage`).
        checkpoint_name: the base name of the checkpoints; others beside them are never touched.
        storage_options: options of the store, as fsspec takes them.
        timeout: seconds for each save or restore, and each look, retries included; None for no limit. When it is over
            they raise `StorageTimeoutError`.

    Raises:
        CheckpointPathError: the directory names no place, or its protocol is unknown.
        ValueError: a limit is negative, or the base name can't be one.
        StorageError: the package for its protocol is not installed.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        max_to_keep: int | None = 5,
        keep_every_n_hours: float | None = None,
        max_save_time: float | None = None,
        checkpoint_name: str = "ckpt",
        storage_options: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        if max_to_keep is not None and operator.index(max_to_keep) < 0:
            raise ValueError(f"max_to_keep must be None, 0 or more, got {max_to_keep}")
        if keep_every_n_hours is not None and not keep_every_n_hours > 0:
            raise ValueError(f"keep_every_n_hours must be None or more than 0, got {keep_every_n_hours}")
        if max_save_time is not None and not 0 < max_save_time <= LONGEST_SAVE_TIME:
            raise ValueError(
                f"max_save_time must be None, or seconds up to {LONGEST_SAVE_TIME:.0f}, got {max_save_time}"
            )
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be None or more than 0 seconds, got {timeout}")
        if not checkpoint_name or not checkpoint_name.isprintable() or not {"/", "\\"}.isdisjoint(checkpoint_name):
            raise ValueError(f"checkpoint_name must be a plain name, got {checkpoint_name!r}")
        self._directory = open_location(directory, storage_options)
        self._base_name = checkpoint_name
        self._closed = False
        self._timeout = timeout
        self._max_save_time = max_save_time
        self._held = HeldState(
            self._directory,
            checkpoint_name,
            max_to_keep=max_to_keep,
            keep_every_n_hours=keep_every_n_hours,
            max_save_time=max_save_time,
        )

    @property
    def directory(self) -> str:
        """The directory, without credentials."""
        return self._directory.url

    def save(self, step: SupportsIndex, state: object) -> str:
        """Save a tree as a step; when this returns it is whole, durable, and what a restart finds.

        A step that exists is replaced in one atomic step. A step below the newest one goes back in time: the steps
        from there up are left behind, on disk but never resumed.

        Args:
            step: the global step, 0 or more.
            state: a tree, as `cloudckpt.save` takes it.

        Returns:
            The checkpoint's prefix.

        Raises:
            ValueError: the step is negative or no int64, or the manager is closed.
            TypeError: the step is no integer, or the tree holds what can't be saved; nothing was changed.
            StructureError: as `cloudckpt.save`; nothing was changed.
            CommitConflictError: another writer committed in this directory since this manager last looked. Its
                `committed` is the prefix, if the checkpoint itself was committed and only the state file was lost.
            CommitTimeoutError: the save took longer than `max_save_time`, by the store's clock.
            CommitUnknownError: the answer to a commit was lost, and reading back did not prove who won.
            StateFileError: the state file can't be read, and nothing was restored before.
            StorageError: the store failed.

        Cost: as `cloudckpt.save`, one PUT of the state file (two to go back in time; before the first save a GET, and a
        LIST, if nothing was restored), and for each step that is dropped a GET and two deletes.
        """
        self._check_open()
        number, tensors = _checked_step(step), tensors_of(state)
        with time_limit(self._timeout), _about(number):
            self._held.check()
            prefix = self._prefix(number)
            checkpoint = self._save(number, prefix, tensors)
            self._held.name(number, checkpoint.index, committed=prefix.url)
        return prefix.url

    def _save(self, step: int, prefix: Location, tensors: dict[str, NDArray[Any]]) -> SavedCheckpoint:
        try:
            return self._save_tensors(step, prefix, tensors)
        except CommitConflictError as error:
            if not self._held.settle(step, error.winner):
                self._held.lose(error)
                raise
        return self._save_tensors(step, prefix, tensors)

    def _save_tensors(self, step: int, prefix: Location, tensors: dict[str, NDArray[Any]]) -> SavedCheckpoint:
        try:
            return save_tensors(
                prefix,
                tensors,
                reuse_names=self._held.attempt(step),
                replaceable=self._held.replaceable(step),
                before_commit=partial(self._held.make_way, step),
                max_save_time=self._max_save_time,
            )
        except CommitUnknownError as error:
            self._held.doubt(error)
            raise

    def restore_latest(self, *, default: Any = NO_DEFAULT, like: object = None) -> Any:
        """Load the newest whole checkpoint, whatever the crash that came before.

        That is the newest one that the state file names and whose files are all there; or a newer one that was
        committed just before the job died. One that is not whole is passed over with a `RecoveryWarning`. Nothing in
        the directory is changed.

        Args:
            default: what to return if the directory has no checkpoint at all, such as `(initial_state, 0)`.
            like: a template for the tree, as `cloudckpt.load` takes it.

        Returns:
            The tree and its step; or the default.

        Raises:
            CheckpointNotFoundError: there is nothing, and no default.
            CheckpointDamagedError: there is something, but nothing whole: a job must not start from scratch by
                mistake.
            StructureError: the checkpoint does not fit `like`.
            StorageError: the store failed, or denied access.

        Cost: a GET of the state file, a LIST (one request a thousand files), and what `cloudckpt.load` costs without
        its LIST; up to four requests for each checkpoint that is passed over.
        """

        def load(step: int, files: PrefixFiles) -> Any:
            return load_tree(self._prefix(step), like=like, files=files)

        self._check_open()
        with time_limit(self._timeout):
            view, found = newest_whole(self._directory, self._base_name, load)
        if found is None:
            self._held.take(view)
            return self._nothing(default)
        step, tree = found
        self._held.take(view, self._kept(step, view))
        logger.info("restored step %d from %s", step, self.directory)
        return tree, step

    def restore(self, step: SupportsIndex, *, like: object = None) -> Any:
        """Load one step. Nothing in the directory is changed: a later save of a lower step than the newest does that.

        Raises:
            ValueError, TypeError: it is no step, as for `save`.
            CheckpointNotFoundError: there is no such step.
            CheckpointDamagedError, StructureError, StorageError: as `cloudckpt.load`.

        Cost: as `restore_latest`.
        """
        number = _checked_step(step)
        with time_limit(self._timeout):
            view = self._look()
            with _about(number):
                tree = load_tree(self._prefix(number), like=like, files=view.steps.get(number))
        self._held.take(view)
        return tree

    def latest_step(self) -> int | None:
        """The step that `restore_latest` would load, or None if the directory has no checkpoint.

        It looks at the files' presence and sizes, and reads no data.

        Raises:
            CheckpointDamagedError: there is something, but nothing whole.

        Cost: a GET of the state file, a LIST, and a GET of the index.
        """

        def check(step: int, files: PrefixFiles) -> None:
            open_checkpoint(self._prefix(step), files).check_whole()

        self._check_open()
        with time_limit(self._timeout):
            _, found = newest_whole(self._directory, self._base_name, check)
        return None if found is None else found[0]

    def all_steps(self) -> list[int]:
        """The steps that have a checkpoint, in ascending order, without those being deleted or left behind.

        Cost: a GET of the state file, and a LIST (one request a thousand files).
        """
        with time_limit(self._timeout):
            view = self._look()
        gone = {*steps_of((*view.read.state.retired, *view.read.state.left), self._base_name)}
        return sorted(step for step, files in view.steps.items() if files.index and step not in gone)

    def collect_garbage(self, *, dry_run: bool = False) -> GarbageReport:
        """Delete what saves of this base name have left behind in the directory, old enough to be of no save under way.

        As `cloudckpt.collect_garbage` does, with its errors and its cost. A committed checkpoint is never touched.

        Args:
            dry_run: whether to find only, and delete nothing.
        """
        self._check_open()
        min_age = max(MIN_AGE, collection_age(self._max_save_time or 0.0))
        return collect_in(self._directory, dry_run=dry_run, min_age=min_age, checkpoint_name=self._base_name)

    def close(self) -> None:
        """Free the store's connections. Nothing is written. A closed manager raises `ValueError`."""
        self._closed = True
        self._directory.store.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the manager of {self.directory!r} is closed: make a new one")

    def _look(self) -> DirectoryView:
        self._check_open()
        return look(self._directory, self._base_name)

    def _prefix(self, step: int) -> Location:
        return self._directory.child(checkpoint_name(self._base_name, step))

    def _kept(self, step: int, view: DirectoryView) -> Kept | None:
        index = view.steps[step].index
        return None if index is None else Kept(checkpoint_name(self._base_name, step), index.modified)

    def _nothing(self, default: Any) -> Any:
        if default is not NO_DEFAULT:
            return default
        raise CheckpointNotFoundError(
            f"{self.directory!r} holds no checkpoint named {self._base_name}-<step>; pass default=(state, 0) to start "
            "from scratch when there is none",
            path=self.directory,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _checked_step(step: SupportsIndex) -> int:
    if isinstance(step, bool):
        raise TypeError(f"a step is an integer, got {step}")
    number = operator.index(step)
    if not 0 <= number <= MAX_STEP:
        raise ValueError(f"a step is 0 or more, and an int64, got {number}")
    return number


@contextmanager
def _about(step: int) -> Iterator[None]:
    """Let errors of the block say which step they are about."""
    try:
        yield
    except CloudckptError as error:
        error.step = step
        raise
