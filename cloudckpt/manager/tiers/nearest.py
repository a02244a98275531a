"""Which checkpoint a job goes on from that saves to a fast local folder and to a bucket, and from which it is read.

The bucket decides: what recovery finds there is where the run stands, on whatever machine it went on. A local
checkpoint beyond it counts only if it has come from that very one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cloudckpt.callers import warn_caller
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    RecoveryWarning,
    StorageError,
)
from cloudckpt.manager.tiers.lineage import Line, Version, content_of, opened, read_line
from cloudckpt.state.recovery import steps_of
from cloudckpt.state.steps import step_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.manager.directory.tier import Tier
    from cloudckpt.state.directory import DirectoryView
    from cloudckpt.storage.location import Location

__all__ = ["Choice", "Nearest"]

Result = TypeVar("Result")


class _NotThisOneError(Exception):
    """What was looked at is not what is looked for; never leaves this module."""


@dataclass(frozen=True, slots=True)
class Choice(Generic[Result]):
    """What was restored."""

    step: int
    result: Result
    line: Line
    """where it comes from, the checkpoint in the bucket included if it is there"""
    in_bucket: Version | None
    """what stands in the bucket: itself, or what it has come from"""


class Nearest(Generic[Result]):
    """One search for a checkpoint in both tiers.

    Args:
        local: the fast one.
        bucket: the one that decides.
        use: called with a prefix and its files; raises `CheckpointDamagedError` for a checkpoint that is not whole.
        hold: whether both tiers hold what they have seen from here on, as after a restore.
    """

    def __init__(
        self, local: Tier, bucket: Tier, use: Callable[[Location, PrefixFiles | None], Result], *, hold: bool = True
    ) -> None:
        self._local, self._bucket, self._use, self._hold = local, bucket, use, hold
        self._view: DirectoryView | None = None

    def newest(self) -> Choice[Result] | None:
        """The newest one that counts; None if there never was any.

        Raises: as `Tier.newest` of the bucket.
        """
        found = self._find(self._bucket, self._newest_from)
        return found[1] if found is not None else self._beyond(None)

    def of_step(self, step: int) -> Choice[Result]:
        """The one of a step: the bucket's, from wherever it is nearest; a local one where the bucket has none.

        Raises: as `Tier.restore`.
        """

        def use(prefix: Location, files: PrefixFiles | None) -> Choice[Result]:
            if files is None or files.index is None:
                return self._local.restore(step, self._local_only)
            return self._same(version := self._version(prefix, files)) or self._from_bucket(version, prefix, files)

        return self._bucket.restore(step, use)

    def _find(
        self, tier: Tier, use: Callable[[Location, PrefixFiles], Choice[Result]]
    ) -> tuple[int, Choice[Result]] | None:
        return tier.newest(use) if self._hold else tier.find(use)

    def _newest_from(self, prefix: Location, files: PrefixFiles) -> Choice[Result]:
        """What to restore where recovery has got to a checkpoint of the bucket: it, or what has come from it."""
        version = self._version(prefix, files)
        return self._beyond(version) or self._same(version) or self._from_bucket(version, prefix, files)

    def _version(self, prefix: Location, files: PrefixFiles) -> Version:
        return Version(self._step(prefix), content_of(opened(prefix, files)))

    def _from_bucket(self, version: Version, prefix: Location, files: PrefixFiles) -> Choice[Result]:
        result = self._use(prefix, files)
        if self._hold:
            self._hold_local(version.step)
        return Choice(version.step, result, Line(self._bucket.directory.url, (version,)), version)

    def _hold_local(self, step: int) -> None:
        """Let the local tier know what is in its folder, though nothing of it was used: another job may have saved."""
        try:
            self._local.restore(step, lambda *_: None)
        except StorageError as error:
            self._warn(error)

    def _beyond(self, version: Version | None) -> Choice[Result] | None:
        """The newest local one that has come from a checkpoint of the bucket; None without any."""

        def use(prefix: Location, files: PrefixFiles) -> Choice[Result]:
            step = self._step(prefix)
            if version is not None and step <= version.step:
                raise _NotThisOneError
            line = self._line(prefix, files, version)
            return Choice(step, self._use(prefix, files), line, version)

        try:
            found = self._find(self._local, use)
        except (_NotThisOneError, CheckpointDamagedError):
            return None  # of which each was warned
        except StorageError as error:
            self._warn(error)
            return None
        return None if found is None else found[1]

    def _line(self, prefix: Location, files: PrefixFiles, version: Version | None) -> Line:
        """The line of a local checkpoint, which has come from one of the bucket; else CheckpointNotFoundError."""
        line = read_line(opened(prefix, files))
        why = "it does not say where it comes from" if line is None else self._why_not(line, version)
        if line is None or why is not None:
            raise CheckpointNotFoundError(f"{why}", path=prefix.url)
        return line

    def _why_not(self, line: Line, version: Version | None) -> str | None:
        """Why a line has not come from a checkpoint of the bucket, in words; None if it has."""
        bucket = self._bucket.directory
        if line.bucket != bucket.url:
            return f"it is of a run in {line.bucket!r}, and not in {bucket.url!r}"
        if version is None:
            return None
        if not line.has(version):
            return f"it does not come from step {version.step} in {bucket.url!r}, from where the run has gone on"
        if self._has_gone_back(version.step):
            return f"the run in {bucket.url!r} has gone back to step {version.step}, and left what came after it"
        return None

    def _has_gone_back(self, step: int) -> bool:
        """Whether the run has gone back to a step of the bucket, and no further yet: what came after it is left.

        A step that was saved since is younger than all that was left before.
        """
        if self._view is None:
            self._view = self._bucket.look()
        indexes = {each: files.index for each, files in self._view.steps.items() if files.index}
        left = steps_of(self._view.read.state.left, self._bucket.base_name)
        return step in indexes and any(
            indexes[each].modified > indexes[step].modified for each in left if each > step and each in indexes
        )

    def _same(self, version: Version) -> Choice[Result] | None:
        """The local copy of a checkpoint of the bucket; None without a whole one."""

        def use(prefix: Location, files: PrefixFiles | None) -> Choice[Result]:
            if (
                files is None
                or files.index is None
                or content_of(checkpoint := opened(prefix, files)) != version.content
            ):
                raise _NotThisOneError
            line = read_line(checkpoint) or Line(self._bucket.directory.url)
            return Choice(version.step, self._use(prefix, files), line.with_version(version), version)

        try:
            if not self._hold:
                return use(self._local.prefix(version.step), self._local.look().steps.get(version.step))
            return self._local.restore(version.step, use)
        except _NotThisOneError:
            return None
        except (CheckpointDamagedError, CheckpointNotFoundError, StorageError) as error:
            self._warn(error)
            return None

    def _local_only(self, prefix: Location, files: PrefixFiles | None) -> Choice[Result]:
        checkpoint = opened(prefix, files)
        line = read_line(checkpoint) or Line(self._bucket.directory.url)
        return Choice(self._step(prefix), self._use(prefix, files), line, None)

    def _warn(self, error: Exception) -> None:
        warn_caller(f"{error}; going on with {self._bucket.directory.url!r}", RecoveryWarning)

    def _step(self, prefix: Location) -> int:
        step = step_of(prefix.key, self._bucket.base_name)
        if step is None:
            raise AssertionError(prefix)  # tiers give none but their own
        return step
