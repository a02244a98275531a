"""A fast local folder before a bucket: every save goes to the one, some go on to the other.

The order of writes, and what a restart finds after a crash between any two:

1. The local checkpoint is committed, with the line that it is of. Before it a restart finds what it found before, and
   after it this one, because the line names what stands in the bucket.
2. If it is sent on: the version that it will be is added to the line that later local checkpoints have.
3. The bucket's checkpoint is committed, as any other. A restart on this machine finds either the same as before, or
   this one, and it is the local one; on another machine it finds what the bucket has.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cloudckpt.callers import warn_caller
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CommitConflictError,
    CommitUnknownError,
    InvalidArgumentError,
    RecoveryWarning,
    StateFileError,
    StorageError,
)
from cloudckpt.manager.background.saves import BackgroundSaves
from cloudckpt.manager.directory.retired import delete_retired, look_up_retired
from cloudckpt.manager.tiers.lineage import Line, Version, content_of, opened
from cloudckpt.manager.tiers.nearest import Choice, Nearest
from cloudckpt.manager.tiers.stored_tensors import stored_tensors
from cloudckpt.state.metrics import best_first
from cloudckpt.state.steps import checkpoint_name
from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.manager.directory.tier import Tier
    from cloudckpt.manager.reporting.observer import Observer
    from cloudckpt.storage.location import Location

__all__ = ["TwoTiers"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class TwoTiers:
    """What `Tier` is, of two directories: the local one is fast, and the bucket decides.

    Any thread may call any method; saves come one after another.

    Args:
        local: the fast one.
        bucket: the one that lasts.
        upload_every: of so many saves one goes to the bucket.
        in_background: whether saves go there behind the caller's back, from the local files. One is under way, and a
            newer one takes the place of the one that waits behind it.
        is_ending: whether this machine is about to be taken away: then each save is in the bucket when it returns.
        observer: is told of what goes to the bucket.
    """

    def __init__(
        self,
        local: Tier,
        bucket: Tier,
        *,
        upload_every: int = 1,
        in_background: bool = True,
        is_ending: Callable[[], bool] = lambda: False,
        observer: Observer,
    ) -> None:
        self._local, self._bucket, self._observer = local, bucket, observer
        self._every, self._in_background, self._is_ending = upload_every, in_background, is_ending
        self.uploads = BackgroundSaves("replace")
        """what is on its way to the bucket behind the caller's back"""
        self._saving = PerProcess(Lock)
        self._lost: CommitConflictError | None = None
        """why this job may not save any more until it restores: another one has gone on in the bucket"""
        self._is_known = False
        """whether it was seen what stands in the bucket"""
        self._line = Line(bucket.directory.url)
        self._newest: int | None = None
        """the highest step that is in the bucket, or was sent there"""
        self._follows = True
        """whether the line has come from what recovery finds in the bucket, so that local checkpoints count"""
        self._since = 0
        """saves that were made since one was sent to the bucket"""
        self._latest_local: int | None = None
        """the step that this job stands at, if it is in the local folder"""
        self._saved_in = os.getpid()
        """the process that has saved or restored it"""
        self._arrived: int | None = None
        """the step that came to the bucket last"""

    @property
    def directory(self) -> Location:
        """The bucket's."""
        return self._bucket.directory

    @property
    def directories(self) -> tuple[Location, ...]:
        """All directories that saves go to: the bucket's, and the local one."""
        return self._bucket.directories + self._local.directories

    @property
    def base_name(self) -> str:
        """Of the checkpoints in both."""
        return self._bucket.base_name

    def prefix(self, step: int) -> Location:
        """The prefix of a step's checkpoint in the local folder, to which it goes first."""
        return self._local.prefix(step)

    def save(
        self,
        step: int,
        tensors: Mapping[str, NDArray[Any]],
        *,
        metrics: Mapping[str, float] | None = None,
    ) -> str:
        """Commit tensors as a step's checkpoint in the local folder, and in the bucket if it is its turn.

        What the local folder can't take goes to the bucket, with a `RecoveryWarning`; so does what would not count
        without it there, as a step back in time.

        Args:
            step: the step.
            tensors: as for `Tier.save`.
            metrics: as for `Tier.save`.

        Returns:
            The prefix's path, or its URL where only the bucket has it.

        Raises:
            CommitConflictError: another job has gone on in the bucket, or saves to the local folder.
            CloudckptError: as `Tier.save` of the bucket; the local checkpoint counts all the same, and the next save
                goes to the bucket again.
        """
        with self._saving.get():
            self._require_not_lost()
            self._know_bucket()
            version = self._save_locally(step, tensors, metrics)
            self._since += 1
            if version is None or self._must_be_in_bucket(step) or self._is_ending():
                self.uploads.settle()
                self._send(step, version, tensors, metrics)
            elif self._since >= self._every:
                self._send_in_turn(version, tensors, metrics)
        return (self._bucket if version is None else self._local).prefix(step).url

    def _require_not_lost(self) -> None:
        if (lost := self._lost) is not None:
            raise CommitConflictError(
                f"nothing was saved: {lost.message}", path=lost.path, step=lost.step, winner=lost.winner
            )

    def _know_bucket(self) -> None:
        """See what stands in the bucket, if nothing was restored from it. What is there is of another line."""
        if not self._is_known:
            self._newest = max(self._bucket.steps(), default=None)
            self._follows = self._newest is None
            self._is_known = True

    def _must_be_in_bucket(self, step: int) -> bool:
        """Whether a restart would pass over the step if it were not in the bucket."""
        return not self._follows or (self._newest is not None and step <= self._newest)

    def _save_locally(
        self, step: int, tensors: Mapping[str, NDArray[Any]], metrics: Mapping[str, float] | None
    ) -> Version | None:
        """The local checkpoint; None if it could not be made."""
        try:
            self._local.save(step, {**tensors, **self._line.tensors()}, metrics=metrics)
            version = Version(step, content_of(opened(self._local.prefix(step), None)))
        except (StorageError, StateFileError, CommitUnknownError) as error:
            warn_caller(
                f"step {step} goes to {self._bucket.directory.url!r} only, as the local folder can't take it: {error}",
                RecoveryWarning,
            )
            # Later local checkpoints must not pass for what has come from this one.
            self._follows = False
            return None
        self._latest_local, self._saved_in = step, os.getpid()
        return version

    def _send_in_turn(
        self, version: Version, tensors: Mapping[str, NDArray[Any]], metrics: Mapping[str, float] | None
    ) -> None:
        if not self._in_background:
            self._send(version.step, version, tensors, metrics)
            return
        stored = stored_tensors(self._local.prefix(version.step))
        self._begin(version.step, version)

        def send(arrays: Mapping[str, NDArray[Any]]) -> None:
            self._save_to_bucket(version.step, arrays, metrics, check=stored.verify)

        arrays = stored.arrays
        try:
            self.uploads.start(self._bucket.prefix(version.step).url, arrays, send, frozen=arrays)
        except BaseException:
            self._since = self._every  # this one was not sent after all
            raise

    def _send(
        self,
        step: int,
        version: Version | None,
        tensors: Mapping[str, NDArray[Any]],
        metrics: Mapping[str, float] | None,
    ) -> None:
        """Save to the bucket, in the caller's thread."""
        if self._must_be_in_bucket(step):
            self._follows = False
        self._begin(step, version)
        self._save_to_bucket(step, tensors, metrics)
        self._follows = version is not None

    def _begin(self, step: int, version: Version | None) -> None:
        """From here on it may be in the bucket."""
        if version is not None:
            self._line = self._line.with_version(version)
        self._newest, self._since, self._arrived = step, 0, None

    def _save_to_bucket(
        self,
        step: int,
        tensors: Mapping[str, NDArray[Any]],
        metrics: Mapping[str, float] | None,
        *,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        total = sum(array.nbytes for array in tensors.values())
        try:
            with self._observer.save(step, self._bucket.prefix(step).url).run(total):
                check()
                self._bucket.save(step, tensors, metrics=metrics)
        except BaseException as error:
            self._since = self._every  # the next one tries again
            if isinstance(error, CommitConflictError):
                self._lost = error
            raise
        self._arrived = step

    def newest(self, use: Callable[[Location, PrefixFiles | None], Result]) -> tuple[int, Result] | None:
        """The newest step that counts, as `Nearest` says, and what `use` made of it; later saves go on from it.

        Raises: as `Tier.newest` of the bucket.
        """
        self.uploads.settle()
        choice = Nearest(self._local, self._bucket, use).newest()
        if choice is None:
            self._go_on(Line(self._bucket.directory.url), None, follows=True)
            return None
        self._go_on_from(choice, newest=None if choice.in_bucket is None else choice.in_bucket.step)
        return choice.step, choice.result

    def restore(self, step: int, use: Callable[[Location, PrefixFiles | None], Result]) -> Result:
        """What `use` makes of a step's prefix and its files: the bucket's, or a local one where it has none.

        Raises: as `Tier.restore`.
        """
        self.uploads.settle()
        choice = Nearest(self._local, self._bucket, use).of_step(step)
        self._go_on_from(choice, newest=max(self._bucket.steps(), default=None))
        return choice.result

    def _go_on_from(self, choice: Choice[Result], newest: int | None) -> None:
        follows = newest == (None if choice.in_bucket is None else choice.in_bucket.step)
        self._go_on(choice.line, newest, follows=follows)
        if choice.in_bucket is None or choice.step != choice.in_bucket.step:
            self._latest_local, self._saved_in, self._since = choice.step, os.getpid(), self._every

    def _go_on(self, line: Line, newest: int | None, *, follows: bool) -> None:
        with self._saving.get():
            self._line, self._newest, self._follows = line, newest, follows
            self._lost, self._is_known = None, True
            self._latest_local, self._arrived, self._since = None, None, 0

    def newest_step(self) -> int | None:
        """The step that `newest` would find by the presence and sizes of files. Nothing held changes."""
        choice = self._look_for_newest()
        return None if choice is None else choice.step

    def _look_for_newest(self) -> Choice[None] | None:
        def check(prefix: Location, files: PrefixFiles | None) -> None:
            open_checkpoint(prefix, files).check_whole()

        return Nearest(self._local, self._bucket, check, hold=False).newest()

    def steps(self) -> list[int]:
        """The steps that either has, in ascending order, up to the one that `newest` would find."""
        try:
            newest = self.newest_step()
        except CheckpointDamagedError:
            newest = None  # what is there is not whole, and still there
        local = [] if newest is None else [step for step in self._local.steps() if step <= newest]
        return sorted({*self._bucket.steps(), *local})

    def metrics(self, step: int) -> dict[str, float]:
        """What was saved with a step: see `Tier.metrics`."""
        try:
            return self._bucket.metrics(step)
        except CheckpointNotFoundError:
            return self._local.metrics(step)

    def best_step(self, metric: str, mode: Literal["min", "max"]) -> int | None:
        """The step with the best value of a metric, of those in `steps`. A look for each of them, at worst."""
        rated = []
        for step in self.steps():
            try:
                rated.append((self.metrics(step), step))
            except (CheckpointNotFoundError, CheckpointDamagedError) as error:
                logger.warning("step %d of %s is not among the best: %s", step, self.directory.url, error)
        return next(iter(best_first(rated, metric, mode)), None)

    def delete(self, step: int) -> None:
        """Delete one step from both, the local one first: what is left of it then is what the bucket decides on.

        Local steps beyond the bucket's newest count because they have come from it; so if that is to be deleted, the
        newest local one is sent to the bucket before.

        Raises: as `Tier.delete` of the bucket, or of the local folder where only that has it.
        """
        self.uploads.settle()
        with self._saving.get():
            files = self._bucket.look().steps.get(step)
            in_bucket = files is not None and files.index is not None
            if in_bucket:
                self._send_what_has_come_from(step)
                self._follows = False  # what decides then may be none that the job has come from: it sends the next
            self._delete(step, in_bucket=in_bucket)
            if step == self._latest_local:
                self._latest_local = None if in_bucket else self._newest_beyond_bucket()

    def _send_what_has_come_from(self, step: int) -> None:
        """See to it that deleting a step of the bucket costs none that the local folder has beyond it."""
        with suppress(CheckpointDamagedError):  # what is there is not whole, and what is not counts no less then
            choice = self._look_for_newest()
            if choice is not None and choice.step != step and choice.in_bucket and choice.in_bucket.step == step:
                self._know_bucket()
                self._send_stored(choice.step)

    def _newest_beyond_bucket(self) -> int | None:
        choice = self._look_for_newest()
        return choice.step if choice and choice.step != (choice.in_bucket and choice.in_bucket.step) else None

    def _delete(self, step: int, *, in_bucket: bool) -> None:
        try:
            self._local.delete(step)
        except (CheckpointNotFoundError, InvalidArgumentError) as error:
            if not in_bucket:
                raise
            if isinstance(error, InvalidArgumentError):  # the last local one, but not the last
                delete_retired(look_up_retired(self._local.directory, [checkpoint_name(self.base_name, step)]))
        if in_bucket:
            self._bucket.delete(step)

    def flush(self) -> None:
        """See to it that the newest step is in the bucket. One of the process that this was forked from is that one's.

        Raises: what keeps it from getting there. What has failed on its way before is raised by `uploads`.
        """
        self.uploads.settle()
        with self._saving.get():
            if (step := self._latest_local) is None or step == self._arrived or self._saved_in != os.getpid():
                return
            self._send_stored(step)

    def _send_stored(self, step: int) -> None:
        """Save a local checkpoint to the bucket."""
        stored = stored_tensors(self._local.prefix(step))
        stored.verify()
        self._send(step, stored.version(step), stored.arrays, self._local.metrics(step))

    def close(self) -> None:
        """Wait for what is on its way, and free the stores' connections."""
        self.uploads.settle()
        self._local.close()
        self._bucket.close()
