"""The steps that a directory has: what a manager finds, restores, compares and deletes, whether it saves or not."""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

from cloudckpt.checkpoint.save_time import collection_age
from cloudckpt.errors import CheckpointNotFoundError
from cloudckpt.garbage.collect import MIN_AGE, collect_in
from cloudckpt.garbage.report import GarbageReport
from cloudckpt.manager.arguments import checked_best, checked_step
from cloudckpt.objects.trees.load import load_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.manager.directory.tier import Tier
    from cloudckpt.manager.reporting.observer import Observer
    from cloudckpt.manager.tiers.two_tiers import TwoTiers
    from cloudckpt.objects.trees.wanted import Only
    from cloudckpt.storage.open import Location

__all__ = ["StoredSteps"]

NO_DEFAULT: Any = object()


class StoredSteps:
    """A directory of checkpoints, `<directory>/ckpt-<step>`, as whoever restores from it sees it.

    Args:
        tier: where they are.
        observer: who is told.
        best_metric: the metric that `best_step` looks at by default.
        best_mode: "min" or "max".
        max_save_time: seconds that saves may take, where that is more than usual.
    """

    def __init__(
        self,
        tier: Tier | TwoTiers,
        observer: Observer,
        *,
        best_metric: str | None,
        best_mode: Literal["min", "max"],
        max_save_time: float | None,
    ) -> None:
        self._tier = tier
        self._observer = observer
        self._best = best_metric, best_mode
        self._max_save_time = max_save_time
        self._closed = False

    @property
    def directory(self) -> str:
        """The directory, without credentials."""
        return self._tier.directory.url

    def restore_latest(
        self,
        *,
        default: Any = NO_DEFAULT,
        like: object = None,
        only: Only = None,
        strict: bool = True,
        cast: bool = False,
    ) -> Any:
        """Load the newest whole checkpoint, whatever the crash that came before.

        That is the newest one that the state file names and whose files are all there; or a newer one that was
        committed just before the job died. One that is not whole is passed over with a `RecoveryWarning`, and put aside
        if this manager was made with `quarantine=True`; else nothing in the directory is changed.

        Args:
            default: what to return if the directory has no checkpoint at all, such as `(initial_state, 0)`.
            like: a template for the tree, as `cloudckpt.load` takes it.
            only: which tensors to read, as there.
            strict: whether the template and the checkpoint must have the same leaves, as there.
            cast: whether dtypes may differ from the template's, as there.

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
        self._check_open()
        self._settle()
        with self._observer.restore(self.directory) as watch:
            found = watch.found(self._tier.newest(watch.loading(_loading(like, only, strict=strict, cast=cast))))
        self._resumed(None if found is None else found[0])
        if found is None:
            return self._nothing(default)
        step, tree = found
        return tree, step

    def restore(
        self,
        step: SupportsIndex | None = None,
        *,
        like: object = None,
        only: Only = None,
        strict: bool = True,
        cast: bool = False,
    ) -> Any:
        """Load one step. Nothing in the directory is changed: a later save of a lower step than the newest does that.

        Args:
            step: which; None for the newest, as `restore_latest` finds it.
            like: a template for the tree, as `cloudckpt.load` takes it.
            only: which tensors to read, as there.
            strict: whether the template and the checkpoint must have the same leaves, as there.
            cast: whether dtypes may differ from the template's, as there.

        Raises:
            ValueError, TypeError: it is no step, as for `save`.
            CheckpointNotFoundError: there is no such step.
            CheckpointDamagedError, StructureError, StorageError: as `cloudckpt.load`.

        Cost: as `restore_latest`.
        """
        if step is None:
            return self.restore_latest(like=like, only=only, strict=strict, cast=cast)[0]
        number = checked_step(step)
        self._check_open()
        self._settle()
        with self._observer.restore(self.directory) as watch:
            tree = self._tier.restore(number, watch.loading(_loading(like, only, strict=strict, cast=cast)))
            watch.found((number, tree))
        self._resumed(number)
        return tree

    def latest_step(self) -> int | None:
        """The step that `restore_latest` would load, or None if the directory has no checkpoint.

        It looks at the files' presence and sizes, and reads no data.

        Raises:
            CheckpointDamagedError: there is something, but nothing whole.

        Cost: a GET of the state file, a LIST, and a GET of the index.
        """
        self._check_open()
        return self._tier.newest_step()

    def all_steps(self) -> list[int]:
        """The steps that have a checkpoint, in ascending order, without those being deleted or left behind.

        Cost: a GET of the state file, and a LIST (one request a thousand files).
        """
        self._check_open()
        return self._tier.steps()

    def metrics(self, step: SupportsIndex) -> dict[str, float]:
        """What was saved with a step; empty if nothing was.

        Raises:
            ValueError, TypeError: it is no step, as for `save`.
            CheckpointNotFoundError: there is no such step.
            CheckpointDamagedError: its metrics can't be read.
            StorageError: the store failed.

        Cost: a GET of the state file, and a LIST; two or three GETs if the state file does not have them.
        """
        self._check_open()
        return self._tier.metrics(checked_step(step))

    def best_step(self, metric: str | None = None, mode: Literal["min", "max"] | None = None) -> int | None:
        """The step with the best value of a metric, of equal ones the later; None if no step has it.

        A step whose value is NaN has none, nor has a step that is broken where its metrics are.

        Args:
            metric: its name; by default this manager's `best_metric`.
            mode: "min" or "max"; by default this manager's `best_mode`.

        Raises:
            ValueError: there is no default metric, or no such mode.
            StorageError: the store failed.

        Cost: a GET of the state file, and a LIST; two or three GETs for each step whose metrics the state file lacks.
        """
        self._check_open()
        best = checked_best(metric or self._best[0], mode or self._best[1])
        return self._tier.best_step(best.metric, best.mode)

    def delete(self, step: SupportsIndex) -> None:
        """Delete one step, whatever the policy says of it; if it is the newest, the one before it is the newest then.

        The state file names it no more before anything is deleted; then go its index, its data, and its side files. One
        that was left behind can be deleted, too.

        Raises:
            ValueError, TypeError: it is no step, as for `save`.
            CheckpointNotFoundError: there is no such step.
            InvalidArgumentError: a ValueError: it is the last one that a job could be resumed from.
            CommitConflictError: another writer has saved since this manager last looked; nothing was deleted.
            StateFileError: the state file can't be read, and nothing was restored before.
            StorageError: the store failed. What the state names no more the next save goes on deleting.

        Cost: a GET of the state file, a LIST, a GET of the index, a DELETE, a batch of deletes, and two PUTs of the
        state file; and those of a first save's look, if nothing was restored.
        """
        self._check_open()
        self._settle()
        number = checked_step(step)
        self._tier.delete(number)
        self._observer.deleted([self._tier.prefix(number).url])

    def collect_garbage(self, *, dry_run: bool = False) -> GarbageReport:
        """Delete what saves of this base name have left behind in the directory, old enough to be of no save under way.

        As `cloudckpt.collect_garbage` does, with its errors and its cost; with a local directory, there too. A
        committed checkpoint is never touched.

        Args:
            dry_run: whether to find only, and delete nothing.
        """
        self._check_open()
        min_age = max(MIN_AGE, collection_age(self._max_save_time or 0.0))
        name = self._tier.base_name
        collect = partial(collect_in, dry_run=dry_run, min_age=min_age, checkpoint_name=name)
        return reduce(GarbageReport.joined, map(collect, self._tier.directories))

    def _settle(self) -> None:
        """Called before the directory is read or changed for the job: wait until no save is under way."""

    def _resumed(self, step: int | None) -> None:
        """Called when the job goes on from a step; None from scratch."""

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the manager of {self.directory!r} is closed: make a new one")

    def _nothing(self, default: Any) -> Any:
        if default is not NO_DEFAULT:
            return default
        raise CheckpointNotFoundError(
            f"{self.directory!r} holds no checkpoint named {self._tier.base_name}-<step>; pass default=(state, 0) to "
            "start from scratch when there is none",
            path=self.directory,
        )


def _loading(like: object, only: Only, *, strict: bool, cast: bool) -> Callable[[Location, PrefixFiles | None], Any]:
    """What reads a tree, once it is known from where."""
    return lambda prefix, files: load_tree(prefix, like=like, only=only, strict=strict, cast=cast, files=files)
