"""Sources that have to be asked again and again: each has a daemon thread that asks."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.manager.preemption.notice import Notice

__all__ = ["PolledSource"]

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 15.0
"""Seconds; half of the shortest notice that a cloud gives."""


class PolledSource(ABC):
    """A source that is asked every so many seconds, in a thread of its own that keeps no process alive.

    An error is no notice: it is logged (the first as a warning, others for debugging), and the source is asked again,
    after a pause that doubles up to 15 s.

    Args:
        interval: seconds from an answer to the next question.
    """

    def __init__(self, interval: float) -> None:
        if not interval > 0:
            raise ValueError(f"interval must be more than 0 seconds, got {interval}")
        self._interval = interval
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def poll(self) -> Notice | None:
        """The notice that stands now, or None. Raises whatever went wrong."""

    def interrupt(self) -> None:  # noqa: B027 - not abstract: most sources have nothing to end
        """End a `poll` that waits for an answer in another thread. By default it is not waited for."""

    def start(self, report: Callable[[Notice], None], /) -> None:
        """Ask from now on, in the background; this itself asks nothing and does not wait."""
        if self._thread is not None:
            raise ValueError(f"{type(self).__name__} is started already: a source belongs to one manager")
        # One for each start: the thread of an earlier one may not have seen yet that it is over.
        self._over = threading.Event()
        name = f"cloudckpt {type(self).__name__}"
        self._thread = threading.Thread(target=self.watch, args=(report, self._over), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. The thread is not waited for, since a server may keep it for a while."""
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():  # a forked process has its request, but not the thread
            self._over.set()
            self.interrupt()

    def watch(self, report: Callable[[Notice], None], over: threading.Event) -> None:
        """Ask until it is over, in the caller's thread. What is said twice is reported once."""
        last, failures = ("", False), 0
        while not over.is_set():
            try:
                notice = self.poll()
            except Exception as error:  # noqa: BLE001 - a thread that ends at whatever a server says would warn nobody
                if not over.is_set():
                    self._log(error, failures)
                failures += 1
            else:
                failures = 0
                said = ("", False) if notice is None else (notice.reason, notice.stop)
                if notice is not None and said != last and not over.is_set():
                    report(notice)
                last = said
            over.wait(min(self._interval * 2 ** min(failures, 10), max(LONGEST_PAUSE, self._interval)))

    def _log(self, error: Exception, failures: int) -> None:
        level = logging.DEBUG if failures else logging.WARNING
        logger.log(
            level,
            "%s can't tell whether this machine is to be taken away, and is asked again: %r",
            type(self).__name__,
            error,
            exc_info=logger.isEnabledFor(logging.DEBUG),
        )
