"""The manager that a training loop talks to: save a step, and come back to the newest whole one."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsIndex

from cloudckpt.manager.arguments import (
    LOCAL_MAX_TO_KEEP,
    MAX_TO_KEEP,
    background_saves,
    check_directory_options,
    check_tier_options,
    checked_step,
    keep_policy,
    notice_sources,
)
from cloudckpt.manager.cadence import Cadence
from cloudckpt.manager.directory.tier import Tier
from cloudckpt.manager.preemption.detect import detect
from cloudckpt.manager.preemption.last_save import Preemption
from cloudckpt.manager.reporting.observer import Observer
from cloudckpt.manager.saves import Saves
from cloudckpt.manager.stored_steps import StoredSteps
from cloudckpt.manager.tiers.two_tiers import TwoTiers
from cloudckpt.state.metrics import checked_metrics
from cloudckpt.state.policies import Latest
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from cloudckpt.manager.background.saves import WhenBusy
    from cloudckpt.manager.preemption.notice import NoticeSource
    from cloudckpt.manager.reporting.reports import Listener
    from cloudckpt.state.policies import Policy

__all__ = ["CheckpointManager"]

logger = logging.getLogger(__name__)


class CheckpointManager(StoredSteps):
    """One directory of checkpoints, `<directory>/ckpt-<step>`: saves steps, drops old ones, and finds the newest.

    A step counts from the moment `save` returns (with `asynchronous=True`, from `wait`'s), and a crash at any earlier
    moment leaves the step before it. What is too old is deleted only after that. Two managers of one directory never
    mix: the one that comes second gets `CommitConflictError`, and raises it at every save until it restores again. Any
    thread may call any method; saves come one after another.

    It writes the `checkpoint` state file that TensorFlow reads, and takes over directories that TensorFlow wrote.

    Args:
        directory: a local path, or any URL that fsspec reads; made when the first step is saved.
        max_to_keep: how many of the newest steps stay; None or 0 for all.
        keep_every_n_hours: of the older steps, keep one for every so many hours, for ever.
        keep: a policy in place of the two, such as `keep.Latest(3) | keep.EverySteps(1000)`.
        save_every_n_steps: the multiples of this are due to be saved.
        save_every_n_minutes: a step is due when so much time has passed. With neither, every step is.
        best_metric: the metric that `best_step` looks at; the best step by it stays, whatever else says.
        best_mode: "min" or "max", which of its values is the best.
        asynchronous: whether `save` returns as soon as it has a copy of the state, which is then saved behind; see
            docs/guides/asynchronous.md for what that promises, and what the program's exit waits for.
        when_busy: what an asynchronous `save` does while another is in flight: "wait" for its end, "skip" this one, or
            "replace" the one that waits behind it, if there is one, by this one, which takes a second copy's memory.
        preemption: sources of notices that this machine is to be taken away, such as `preemption.detect()`; see
            `reached_preemption`. They are stopped by `close`.
        local_directory: a fast folder of this machine, to which every save goes before the directory; see
            docs/guides/two_tiers.md for what a restart goes on from then.
        local_max_to_keep: how many of the newest steps stay there.
        upload_every: of so many saves one goes on from there to the directory, at least.
        upload_in_background: whether it does so behind; else `save` returns when it is there.
        on_event: what is told of saves, restores and deletions, as they end: a callable that takes a report
            (docs/guides/observe.md), or several. An error in it is logged, and no more.
        progress: False for no bars on long transfers; None for bars, if rich is installed and stderr is a terminal,
            while the caller waits; True also for those behind.
        quarantine: whether a restore of the newest step puts broken ones aside (docs/design/quarantine.md), so that
            nobody takes them for checkpoints any more; they are not deleted. Nothing may copy into the directory then.
        max_save_time: seconds that a save may take until its commit, 12 hours by default. What is longer is written
            into the state file before the first save, and collectors of garbage wait accordingly (`collect_garbage`).
        checkpoint_name: the base name of the checkpoints; others beside them are never touched.
        storage_options: options of the store, as fsspec takes them.
        timeout: seconds for each save or restore, and each look, retries included; None for no limit. When it is over
            they raise `StorageTimeoutError`.

    Raises:
        CheckpointPathError: the directory names no place, or its protocol is unknown.
        TypeError: an argument is of the wrong type.
        ValueError: a limit is negative, arguments exclude each other, or the base name can't be one.
        StorageError: the package for its protocol is not installed.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        max_to_keep: int | None = MAX_TO_KEEP,
        keep_every_n_hours: float | None = None,
        keep: Policy | None = None,
        save_every_n_steps: int | None = None,
        save_every_n_minutes: float | None = None,
        best_metric: str | None = None,
        best_mode: Literal["min", "max"] = "min",
        asynchronous: bool = False,
        when_busy: WhenBusy = "wait",
        preemption: Sequence[NoticeSource] | None = None,
        local_directory: str | os.PathLike[str] | None = None,
        local_max_to_keep: int = LOCAL_MAX_TO_KEEP,
        upload_every: int = 1,
        upload_in_background: bool = True,
        on_event: Listener | Iterable[Listener] | None = None,
        progress: bool | None = None,
        quarantine: bool = False,
        max_save_time: float | None = None,
        checkpoint_name: str = "ckpt",
        storage_options: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        policy = keep_policy(max_to_keep, keep_every_n_hours, keep, best_metric, best_mode)
        check_directory_options(checkpoint_name, max_save_time, timeout)
        check_tier_options(
            directory, local_directory, local_max_to_keep, upload_every, upload_in_background=upload_in_background
        )
        background = background_saves(when_busy, asynchronous=asynchronous)
        self._cadence = Cadence(save_every_n_steps, save_every_n_minutes)
        observer = Observer(on_event, progress=progress)
        options: dict[str, Any] = {"quarantine": quarantine, "timeout": timeout}
        tier: Tier | TwoTiers
        tier = bucket = Tier(
            open_location(directory, storage_options),
            checkpoint_name,
            keep=policy,
            max_save_time=max_save_time,
            **options,
        )
        self._preemption = Preemption(request_save=self._cadence.request, tell=observer.preempted)
        weakref.finalize(self, self._preemption.close).atexit = False
        if local_directory is not None:
            tier = TwoTiers(
                Tier(open_location(local_directory), checkpoint_name, keep=Latest(local_max_to_keep), **options),
                bucket,
                upload_every=upload_every,
                in_background=upload_in_background,
                is_ending=self._preemption.reached,
                observer=observer,
            )
        super().__init__(tier, observer, best_metric=best_metric, best_mode=best_mode, max_save_time=max_save_time)
        self._saves = Saves(tier, self._preemption, background, observer=observer)
        if preemption is not None:
            self.listen(preemption)  # last of all: no handler is left where another argument is wrong

    def save(
        self, step: SupportsIndex, state: object, metrics: Mapping[str, Any] | None = None, *, force: bool = False
    ) -> str | None:
        """Save a tree as a step; when this returns it is whole, durable, and what a restart finds.

        With `asynchronous=True` it returns once it has a copy of the state, which may then be written to; the step is
        durable when `wait` returns, and before that a restart finds it or what it found before. What an earlier save
        has failed with is raised first, once, and then this step is not saved.

        A step that exists is replaced in one atomic step. A step below the newest one goes back in time: the steps
        from there up are left behind, on disk but never resumed.

        Args:
            step: the global step, 0 or more.
            state: a tree, as `cloudckpt.save` takes it.
            metrics: numbers by name, such as `{"loss": 0.3}`: kept in the state file and in the checkpoint, for
                `best_step` and the policy `Best`. NaN and infinity are kept, too, and NaN is never the best.
            force: save the step also if it is not due.

        Returns:
            The checkpoint's prefix; None, and nothing is done, if the step is not due (`should_save`), or is skipped
            because another save is in flight.

        Raises:
            ValueError: the step is negative or no int64, or the manager is closed.
            RuntimeError: a listener, which a save in the background has called, would save.
            TypeError: the step is no integer, or the tree holds what can't be saved; nothing was changed.
            StructureError: as `cloudckpt.save`; nothing was changed.
            CommitConflictError: another writer committed in this directory since this manager last looked. Its
                `committed` is the prefix, if the checkpoint itself was committed and only the state file was lost.
            CommitTimeoutError: the save took longer than `max_save_time`, by the store's clock.
            CommitUnknownError: the answer to a commit was lost, and reading back did not prove who won.
            StateFileError: the state file can't be read, and nothing was restored before.
            StorageError: the store failed.

        Cost: as `cloudckpt.save`, one PUT of the state file (two to go back in time; before the first save a GET, and a
        LIST, if nothing was restored), and for each step that is dropped a GET and two deletes. With a policy `Best`
        also four requests for each checkpoint whose metrics the state file does not have, once.
        """
        self._check_open()
        number, rated = checked_step(step), checked_metrics(metrics or {})
        if not self._preemption.reached():
            self._saves.check_for_errors()
        if not force and not self._cadence.is_due(number):
            return None
        return self._cadence.counted(number, lambda: self._saves.save(number, state, rated))

    def should_save(self, step: SupportsIndex) -> bool:
        """Whether a step is due to be saved: by the steps or minutes of this manager, or on demand. No request.

        A step is due if it is a multiple of `save_every_n_steps`, or the first one after such a multiple that was
        passed; if `save_every_n_minutes` have passed since the last save was begun, or since this manager was made or
        has restored; after `request_save`; and always, if neither was given. The step that was saved or restored last
        is not due again.

        Raises:
            ValueError, TypeError: it is no step, as for `save`.
        """
        return self._cadence.is_due(checked_step(step))

    def request_save(self) -> None:
        """Let the next step be due, whichever it is. Any thread may call this, and a signal handler."""
        self._cadence.request()

    def reached_preemption(self, step: SupportsIndex) -> bool:
        """Whether this machine is about to be taken away: then save this step, and end. No request.

        It is due from then on, and `save` keeps to the time that is left: the save in flight is waited for if it ends
        in time, and else aborted; the step is saved only if that fits, by the last saves' times, and is cut off before
        the time is over. What is not saved is logged, and `save` returns None.

        Args:
            step: the step that the loop has just done.

        Raises:
            ValueError, TypeError: it is no step, as for `save`.
        """
        checked_step(step)
        return self._preemption.reached()

    def listen(self, sources: Sequence[NoticeSource] | None = None) -> None:
        """Start to hear notices of preemption, as `preemption=` does; without effect if that was given.

        Args:
            sources: where they come from; None for `preemption.detect()`.

        Raises:
            TypeError: they are no sources.
            ValueError: one can't be started here, such as a signal's in another thread than the main one.
        """
        self._check_open()
        self._preemption.listen(detect if sources is None else lambda: notice_sources(sources))

    def wait(self, timeout: float | None = None) -> None:
        """Wait until no save is under way: what `save` was given is durable then, as far as nothing newer replaced it.

        Args:
            timeout: seconds; None for no limit.

        Raises:
            StorageTimeoutError: the time is over, and the save goes on.
            RuntimeError: a listener, which a save in the background has called, would wait for that.
            Exception: what a save has failed with, as `save` would have raised it. Nothing is raised twice.
        """
        self._saves.wait(timeout)

    def check_for_errors(self) -> None:
        """Raise what a save has failed with since the last call that did. It does not wait."""
        self._saves.check_for_errors()

    def close(self) -> None:
        """Wait for the save under way, and free the store's connections. A closed manager raises `ValueError`."""
        if self._closed:
            return
        self._saves.require_other_thread()
        self._closed = True
        try:
            self._saves.close()
        finally:
            self._preemption.close()
            self._tier.close()

    def _settle(self) -> None:
        self._saves.settle()

    def _resumed(self, step: int | None) -> None:
        self._cadence.restored(step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            # What ended the block goes up; it must not hide behind this.
            error.add_note(f"A save in the background failed, too: {failure!r}")
            logger.exception("a save to %s failed in the background", self.directory)
