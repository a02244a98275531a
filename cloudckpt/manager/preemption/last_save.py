"""From the first notice to the end of the process: what is still saved, and what is left undone."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudckpt.errors import CommitUnknownError, StorageTimeoutError
from cloudckpt.manager.preemption.save_times import SaveTimes
from cloudckpt.storage.deadline import time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudckpt.manager.background.saves import BackgroundSaves
    from cloudckpt.manager.preemption.notice import Notice, NoticeSource

__all__ = ["Preemption"]

logger = logging.getLogger(__name__)

RESERVE = 0.1
"""The share of the time left that is kept for cleaning up after a save that was cut off, and for ending."""


class Preemption:
    """The notices that one manager gets, and the saves that it makes after one.

    Args:
        request_save: lets the next step be due; called from any thread, or a signal handler.
        tell: called once, in the thread that asks whether one was `reached`: with the notice's reason, and the
            seconds until its deadline (None: unknown). By default it is logged.
    """

    def __init__(
        self, *, request_save: Callable[[], None], tell: Callable[[str, float | None], None] | None = None
    ) -> None:
        self._sources: tuple[NoticeSource, ...] | None = None
        self._request_save = request_save
        self._tell = tell or _log_notice
        # A signal handler adds to it, so there is no lock: appending is one step.
        self._notices: list[Notice] = []
        self._told = False
        self._times = SaveTimes()

    def listen(self, sources: Callable[[], Sequence[NoticeSource]]) -> None:
        """Start these sources, until `close` stops them, unless it was said before which ones.

        Raises:
            ValueError: one of them can't be started here; none is left started.
        """
        if self._sources is not None:
            return
        self._sources = tuple(sources())
        try:
            for source in self._sources:
                source.start(self._receive)
        except BaseException:
            self.close()
            raise

    def reached(self) -> bool:
        """Whether a notice that means stop has come. Each time that it has, the next step is due to be saved."""
        if not self._notices:
            return False
        self._request_save()
        if not self._told:
            self._told = True
            self._tell(self._soonest.reason, self.seconds_left())
        return True

    def seconds_left(self) -> float | None:
        """Seconds until this process ends; None if nobody knows, as without a notice.

        A deadline that has passed was wrong, since this runs: then nobody knows either.
        """
        now = time.monotonic()
        deadlines = [notice.deadline for notice in self._notices if notice.deadline is not None]
        return min((deadline - now for deadline in deadlines if deadline > now), default=None)

    @contextmanager
    def timed(self, size: int) -> Iterator[None]:
        """The block saves so many bytes; how long it took is remembered, if it went well. In any thread."""
        start = time.monotonic()
        yield
        self._times.note(size, time.monotonic() - start)

    def finish(self, saves: BackgroundSaves) -> None:
        """Let the save in flight end if it does in the time that is left; else it is cut off, and says so in the log.

        What it failed with is raised by the next call of `saves`.
        """
        usable = self._usable()
        if usable is None:
            saves.settle()
        else:
            saves.finish_within(usable)

    def save(self, step: int, size: int, save: Callable[[], str]) -> str | None:
        """Save a step if that fits the time left; else say in the log that it was left undone.

        Args:
            step: the step.
            size: its bytes.
            save: does it, under the time limit of the context that it is called in.

        Returns:
            What `save` returns; None if it did not fit, or was cut off.
        """
        usable, expected = self._usable(), self._times.estimate(size)
        if usable is None:
            return save()
        if expected is not None and expected > usable:
            logger.warning("step %d is not saved: that takes about %.1f s, and %.1f s are left", step, expected, usable)
            return None
        end = time.monotonic() + usable
        try:
            with time_limit(usable):
                return save()
        except (StorageTimeoutError, CommitUnknownError) as error:
            if time.monotonic() < end:
                raise
            # The second is one that was cut off in its commit: a restart finds out whether it is there.
            logger.warning("step %d is not saved: its save was cut off after %.1f s: %s", step, usable, error)
            return None

    def close(self) -> None:
        """Stop all sources, once."""
        sources, self._sources = self._sources or (), ()
        for source in reversed(sources):
            source.stop()

    def _receive(self, notice: Notice) -> None:
        if notice.stop:
            self._notices.append(notice)
        # Nothing is logged here: a signal handler may have interrupted whoever is just writing the log.
        self._request_save()

    def _usable(self) -> float | None:
        left = self.seconds_left()
        return None if left is None else left * (1 - RESERVE)

    @property
    def _soonest(self) -> Notice:
        return min(self._notices, key=lambda notice: float("inf") if notice.deadline is None else notice.deadline)


def _log_notice(reason: str, seconds_left: float | None) -> None:
    left = "nobody knows how soon" if seconds_left is None else f"in {seconds_left:.0f} s"
    logger.warning("this machine is about to be taken away, %s: %s", left, reason)
