"""One directory of numbered checkpoints, as a manager sees it: saved, found, restored and deleted."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cloudckpt.checkpoint.commit import SavedCheckpoint, save_tensors
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import CloudckptError, CommitConflictError, CommitUnknownError
from cloudckpt.manager.directory.held_state import HeldState
from cloudckpt.manager.directory.metrics_tensor import metrics_tensors
from cloudckpt.manager.directory.newest import newest_whole
from cloudckpt.manager.directory.rated import best_of, metrics_of
from cloudckpt.manager.reporting.watch import phase
from cloudckpt.state.directory import DirectoryView, look
from cloudckpt.state.recovery import resumable_steps
from cloudckpt.state.retention import Kept
from cloudckpt.state.steps import checkpoint_name
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.manager.directory.newest import Search
    from cloudckpt.state.policies import Policy
    from cloudckpt.storage.open import Location

__all__ = ["Tier"]

Result = TypeVar("Result")


class Tier:
    """The checkpoints `<base_name>-<step>` of one directory, and the state file that names them.

    Any thread may call any method. Saves and deletions come one after another; looks and restores go on beside them,
    and a restore that a save has overtaken leaves the state as that save has made it.

    Args:
        directory: where; its store is closed by `close`.
        base_name: of the checkpoints; others are never touched.
        keep: which of them stay.
        max_save_time: seconds that a save may take, where that is more than usual.
        quarantine: whether `newest` puts broken checkpoints aside.
        timeout: seconds for each call; None for no limit.
    """

    def __init__(
        self,
        directory: Location,
        base_name: str,
        *,
        keep: Policy,
        max_save_time: float | None = None,
        quarantine: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.directory = directory
        self.base_name = base_name
        self._max_save_time = max_save_time
        self._quarantine = quarantine
        self._timeout = timeout
        self._held = HeldState(directory, base_name, keep=keep, max_save_time=max_save_time)
        self._writing = PerProcess(Lock)
        """held by the save or deletion under way"""

    @property
    def directories(self) -> tuple[Location, ...]:
        """All directories that saves go to."""
        return (self.directory,)

    def prefix(self, step: int) -> Location:
        """The prefix of a step's checkpoint."""
        return self.directory.child(checkpoint_name(self.base_name, step))

    def save(
        self, step: int, tensors: Mapping[str, NDArray[Any]], *, metrics: Mapping[str, float] | None = None
    ) -> str:
        """Commit tensors as a step's checkpoint, name it in the state, and delete what the policy drops.

        Args:
            step: the step.
            tensors: arrays by name, which must not change before this returns.
            metrics: what to save with them, checked.

        Returns:
            The prefix's URL.

        Raises:
            CommitConflictError: another writer committed in this directory since this tier last looked.
            CommitTimeoutError, CommitUnknownError, StateFileError, StorageError: as `CheckpointManager.save`.
        """
        prefix = self.prefix(step)
        tensors = {**tensors, **metrics_tensors(metrics or {})}
        with self._writing.get(), time_limit(self._timeout), _about(step):
            self._held.check()
            saved = self._save(step, prefix, tensors)
            self._held.name(step, saved.index, committed=prefix.url, metrics=metrics)
        return prefix.url

    def _save(self, step: int, prefix: Location, tensors: Mapping[str, NDArray[Any]]) -> SavedCheckpoint:
        try:
            return self._save_tensors(step, prefix, tensors)
        except CommitConflictError as error:
            if not self._held.settle(step, error.winner):
                self._held.lose(error)
                raise
        return self._save_tensors(step, prefix, tensors)

    def _save_tensors(self, step: int, prefix: Location, tensors: Mapping[str, NDArray[Any]]) -> SavedCheckpoint:
        def before_commit() -> None:
            phase("commit")
            self._held.make_way(step)

        phase("upload")
        try:
            return save_tensors(
                prefix,
                tensors,
                reuse_names=self._held.attempt(step),
                replaceable=self._held.replaceable(step),
                before_commit=before_commit,
                max_save_time=self._max_save_time,
            )
        except CommitUnknownError as error:
            self._held.doubt(error)
            raise

    def newest(self, use: Callable[[Location, PrefixFiles], Result]) -> tuple[int, Result] | None:
        """The newest step that `use` accepts, and what it made of it, with the state held from here on.

        Args:
            use: called with a checkpoint's prefix and its files; raises `CheckpointDamagedError` for one that is not
                whole, which is passed over with a `RecoveryWarning`.

        Returns:
            None, if the directory never had a checkpoint.

        Raises:
            CheckpointDamagedError: there is something, and nothing whole.
            StorageError: the store failed.
        """
        swaps = self._held.swaps
        with time_limit(self._timeout):
            search = newest_whole(self.directory, self.base_name, lambda step, files: use(self.prefix(step), files))
            self._held.take(search.view, self._kept(search), swaps=swaps)
            if self._quarantine and search.broken:
                with self._writing.get():
                    self._held.put_aside(search.broken)
        return search.found

    def find(self, use: Callable[[Location, PrefixFiles], Result]) -> tuple[int, Result] | None:
        """As `newest`, but the held state is left as it is."""
        with time_limit(self._timeout):
            return newest_whole(self.directory, self.base_name, lambda step, files: use(self.prefix(step), files)).found

    def newest_step(self) -> int | None:
        """The step that `newest` would find by the presence and sizes of files. The held state is left as it is."""
        found = self.find(lambda prefix, files: open_checkpoint(prefix, files).check_whole())
        return None if found is None else found[0]

    def restore(self, step: int, use: Callable[[Location, PrefixFiles | None], Result]) -> Result:
        """What `use` makes of a step's prefix and its files, with the state held from here on.

        Raises: what `use` raises; `StorageError`: the store failed.
        """
        swaps = self._held.swaps
        with time_limit(self._timeout), _about(step):
            view = look(self.directory, self.base_name)
            result = use(self.prefix(step), view.steps.get(step))
        self._held.take(view, swaps=swaps)
        return result

    def look(self) -> DirectoryView:
        """What is in the directory now. A GET of the state file, and a LIST."""
        with time_limit(self._timeout):
            return look(self.directory, self.base_name)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in ascending order, without those being deleted or left behind."""
        return resumable_steps(self.look(), self.base_name)

    def metrics(self, step: int) -> dict[str, float]:
        """What was saved with a step: see `metrics_of`."""
        with time_limit(self._timeout), _about(step):
            return metrics_of(self.directory, self.base_name, look(self.directory, self.base_name), step)

    def best_step(self, metric: str, mode: Literal["min", "max"]) -> int | None:
        """The step with the best value of a metric: see `best_of`."""
        with time_limit(self._timeout):
            return best_of(self.directory, self.base_name, look(self.directory, self.base_name), metric, mode)

    def delete(self, step: int) -> None:
        """Delete one step, as `CheckpointManager.delete`."""
        with self._writing.get(), time_limit(self._timeout), _about(step):
            self._held.check()
            self._held.delete(step)

    def close(self) -> None:
        """Free the store's connections. Nothing is written."""
        self.directory.store.close()

    def _kept(self, search: Search[Any]) -> Kept | None:
        """The checkpoint that a search has found, as the state will name it."""
        step = None if search.found is None else search.found[0]
        index = None if step is None else search.view.steps[step].index
        return None if step is None or index is None else Kept(checkpoint_name(self.base_name, step), index.modified)


@contextmanager
def _about(step: int) -> Iterator[None]:
    """Let errors of the block say which step they are about."""
    try:
        yield
    except CloudckptError as error:
        error.step = step
        raise
