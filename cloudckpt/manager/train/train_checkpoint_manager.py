"""TensorFlow's manager of checkpoints, `tf.train.CheckpointManager`: it numbers them, and keeps the newest few.

Source: python/checkpoint/checkpoint_management.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.manager.directory.newest import newest_whole
from cloudckpt.manager.train.managed_checkpoints import ManagedCheckpoints
from cloudckpt.manager.train.managed_directory import ManagedDirectory
from cloudckpt.saver.save_path import step_argument
from cloudckpt.state.directory import look
from cloudckpt.state.steps import step_of
from cloudckpt.storage.deadline import time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.state.places import SaveDirectory

__all__ = ["CheckpointManager"]


class CheckpointManager:
    """Saves a `Checkpoint` under numbered names, `<directory>/ckpt-<number>`, and deletes the older ones.

    A checkpoint counts from the moment `save` returns, and a crash at any earlier moment leaves the one before it. What
    is too old is deleted only after that. Managers with one directory go on from each other, and from TensorFlow's,
    over restarts: what the state file names is managed by the next one. Not for several threads at once; two managers
    at once in one directory take turns at the state file, which then names what the last one saved.

    Args:
        checkpoint: what to save and restore: a `cloudckpt.train.Checkpoint`, or whatever has its `write`, `restore`
            and `save_counter`.
        directory: a local path, or any URL that fsspec reads; made where it is missing.
        max_to_keep: how many of the newest stay; None for all.
        keep_checkpoint_every_n_hours: of those that are too old, one stays for good for every so many hours; None for
            none. They are named nowhere: the state file has the time of the newest one.
        checkpoint_name: the base name of the checkpoints.
        step_counter: the number of the training step, for `checkpoint_interval`: a variable, of whatever framework.
        checkpoint_interval: steps that must lie between two saves; None for none.
        init_fn: called by `restore_or_initialize` if the directory has no checkpoint.
        last_checkpoint_step: the step of the last save, from which the interval counts; None for none.
        storage_options: options of the store, as fsspec takes them.
        timeout: seconds for each save or restore, and for the look at construction, retries included; None for no
            limit. When it is over they raise `StorageTimeoutError`.

    Raises:
        InvalidArgumentError: a ValueError: `max_to_keep` is not positive, `timeout` is not above 0, or there is a
            `checkpoint_interval` without a `step_counter`.
        StateFileError: a ValueError: the directory's state file can't be read, or names no latest checkpoint.
        StorageError: the store failed.

    Cost: a GET of the state file, and a LIST (one request a thousand files).
    """

    def __init__(  # noqa: PLR0917 - TensorFlow's arguments
        self,
        checkpoint: Any,
        directory: str | os.PathLike[str],
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], object] | None = None,
        last_checkpoint_step: int | None = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        if checkpoint_interval is not None and step_counter is None:
            raise InvalidArgumentError("checkpoint_interval counts steps: pass the step_counter that has their number")
        if timeout is not None and not timeout > 0:
            raise InvalidArgumentError(f"timeout must be None or more than 0 seconds, got {timeout}")
        self._checkpoint = checkpoint
        self._directory = os.fspath(directory)
        self._base_name = checkpoint_name
        self._step_counter = step_counter
        self._checkpoint_interval = checkpoint_interval
        self._init_fn = init_fn
        self._last_checkpoint_step = last_checkpoint_step
        self._options = storage_options
        self._timeout = timeout
        self._managed = ManagedCheckpoints(max_to_keep, keep_checkpoint_every_n_hours)
        self._kept = ManagedDirectory(self._directory, checkpoint_name, self._managed, storage_options)
        with time_limit(timeout), self._kept.opened() as opened:
            self._kept.recover(look(opened.location, checkpoint_name))

    @property
    def checkpoint(self) -> Any:
        """What is saved and restored."""
        return self._checkpoint

    @property
    def directory(self) -> str:
        """The directory, as it was given."""
        return self._directory

    @property
    def checkpoint_interval(self) -> int | None:
        """Steps that must lie between two saves."""
        return self._checkpoint_interval

    @property
    def latest_checkpoint(self) -> str | None:
        """The prefix of the newest checkpoint: this manager's, or found at its construction; None if there is none."""
        return self._managed.latest

    @property
    def checkpoints(self) -> list[str]:
        """The prefixes that are managed, oldest first, without those that are preserved for good; a fresh list."""
        return self._managed.paths

    def save(self, checkpoint_number: Any = None, check_interval: bool = True, options: Any = None) -> str | None:
        """Save under the next number, name the checkpoint in the state file, and delete what is too old.

        The checkpoint's `save_counter` goes up by one in any case, and is saved along.

        Args:
            checkpoint_number: the number in the name: an integer, or a variable with one; by default `save_counter`.
                A checkpoint of that name is replaced in one atomic step.
            check_interval: whether to save only if `checkpoint_interval` steps have gone by since the last save; even
                if not, nothing is saved twice at one step.
            options: passed to the checkpoint's `write`.

        Returns:
            The checkpoint's prefix; None if nothing was due.

        Raises:
            TypeError: `checkpoint_number` or the step counter is no number.
            CommitConflictError: another writer saved under that name meanwhile; or wrote the state file again and
                again, and then `committed` names the checkpoint, which stays, and which the next save names.
            CloudckptError: and what the checkpoint's `write` raises.
            StorageError: the store failed, or the time was over (`StorageTimeoutError`). If it was at the state file,
                the checkpoint is there and in `checkpoints`, and the next save names it.

        Cost: that of `write`, a HEAD, a GET and a PUT of the state file; where something is dropped a second PUT, a
        LIST of the directory, a GET for each other state file there that has changed, and three requests for each
        checkpoint that goes.
        """
        step = self._step()
        if not self._is_due(step, check_interval=check_interval):
            return None
        with time_limit(self._timeout), self._kept.opened() as opened:
            counter = self._checkpoint.save_counter
            counter.assign_add(1)
            path = self._kept.prefix(step_argument(counter if checkpoint_number is None else checkpoint_number, None))
            self._checkpoint.write(path, options=options, **self._store)
            self._kept.record(path)
            self._last_checkpoint_step = step
            self._kept.keep(path, opened)
        return path

    def restore_or_initialize(self) -> str | None:
        """Restore the newest whole checkpoint; where the directory has none, call `init_fn`.

        That is the newest one that the state file names and whose files are all there; or a newer one that was
        committed just before the job died. One that is not whole is passed over with a `RecoveryWarning`. Nothing in
        the directory is changed.

        Returns:
            The prefix of the checkpoint that was restored; else None.

        Raises:
            CheckpointDamagedError: there is something, but nothing whole: a job must not start from scratch by
                mistake.
            CloudckptError: and what the checkpoint's `restore` raises.

        Cost: a GET of the state file, a LIST and a GET of the index, and what `restore` costs; up to four requests
        for each checkpoint that is passed over.
        """
        path = self._managed.latest
        with time_limit(self._timeout), self._kept.opened() as opened:
            if path is not None and step_of(path, self._base_name) is None:
                self._restore(path)
            else:
                search = newest_whole(opened.location, self._base_name, self._restore_step(opened))
                found = search.found
                if found is not None:
                    self._kept.restored(found[0], search.view)
                path = None if found is None else found[1]
        if path is not None:
            self._last_checkpoint_step = self._step()
        elif self._init_fn is not None:
            self._init_fn()
        return path

    def sync(self) -> None:
        """Wait for saves and restores of the checkpoint that are under way."""
        self._checkpoint.sync()

    def _step(self) -> int | None:
        return None if self._checkpoint_interval is None else step_argument(self._step_counter, None)

    def _is_due(self, step: int | None, *, check_interval: bool) -> bool:
        if step is None or self._checkpoint_interval is None or self._last_checkpoint_step is None:
            return True
        passed = step - self._last_checkpoint_step
        return passed != 0 and (not check_interval or passed >= self._checkpoint_interval)

    def _restore(self, path: str) -> None:
        self._checkpoint.restore(path, **self._store)

    def _restore_step(self, opened: SaveDirectory) -> Callable[[int, PrefixFiles], str]:
        def restore(step: int, files: PrefixFiles) -> str:
            path = self._kept.prefix(step)
            open_checkpoint(opened.location.child(os.path.basename(path)), files).check_whole()
            self._restore(path)
            return path

        return restore

    @property
    def _store(self) -> dict[str, Any]:
        """What the checkpoint's methods are told of the store."""
        return {} if self._options is None else {"storage_options": self._options}
