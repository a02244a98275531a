"""Which steps are due to be saved: every N steps, every N minutes, on demand; all of them if nobody says."""

from __future__ import annotations

import operator
import time
from threading import Lock
from typing import TYPE_CHECKING

from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cadence"]


class Cadence:
    """When a manager saves. Any thread may call any method, a signal handler `request`.

    Args:
        every_n_steps: each step is due that is a multiple of this, or the first one after it.
        every_n_minutes: a step is due when so much time has passed since the last save began, or since the job was made
            or restored, by a clock that nobody sets. Where both are given, what either says is due.

    Raises:
        TypeError: the steps are no integer.
        ValueError: there is less than one step, or no time.
    """

    def __init__(self, every_n_steps: int | None = None, every_n_minutes: float | None = None) -> None:
        if every_n_steps is not None and operator.index(every_n_steps) < 1:
            raise ValueError(f"save_every_n_steps must be None, 1 or more, got {every_n_steps}")
        if every_n_minutes is not None and not every_n_minutes > 0:
            raise ValueError(f"save_every_n_minutes must be None or more than 0, got {every_n_minutes}")
        self._every_n_steps = every_n_steps
        self._every_n_minutes = every_n_minutes
        self._lock = PerProcess(Lock)
        self._since = time.monotonic()
        self._last: int | None = None
        """the step that was saved or restored last; before any the one before the first that was asked for"""
        # A signal handler sets it, perhaps while its own thread holds the lock: so that takes none.
        self._requested = False

    def request(self) -> None:
        """Let the next step be due, whatever else says."""
        self._requested = True

    def is_due(self, step: int) -> bool:
        """Whether a step is to be saved now. With a cadence, the one saved or restored last is not, but on demand."""
        if self._requested or (self._every_n_steps is None and self._every_n_minutes is None):
            return True
        with self._lock.get():
            if self._last is None or step < self._last:
                self._last = step - 1  # of a run from scratch, or of one that went back
            return step != self._last and (self._is_step(step, self._last) or self._is_time())

    def _is_step(self, step: int, last: int) -> bool:
        """Whether a multiple of the steps lies behind the last one, up to this one."""
        every = self._every_n_steps
        return every is not None and step // every > last // every

    def _is_time(self) -> bool:
        every = self._every_n_minutes
        return every is not None and time.monotonic() - self._since >= every * 60

    def restored(self, step: int | None) -> None:
        """The job goes on from a step; None from scratch."""
        with self._lock.get():
            self._last, self._since = step, time.monotonic()

    def counted(self, step: int, save: Callable[[], str | None]) -> str | None:
        """Begin to save a step; if that raises, or comes to nothing, what was due still is.

        Args:
            step: the step.
            save: does it, or begins it; returns its prefix, or None if there will be no such save.
        """
        before, prefix = self._begin(step), None
        try:
            prefix = save()
        finally:
            if prefix is None:
                self._take_back(*before)
        return prefix

    def _begin(self, step: int) -> tuple[int | None, float, bool]:
        with self._lock.get():
            before = self._last, self._since, self._requested
            # A request that comes after this is not met by what is saved now.
            self._last, self._since, self._requested = step, time.monotonic(), False
        return before

    def _take_back(self, last: int | None, since: float, requested: bool) -> None:
        with self._lock.get():
            self._last, self._since = last, since
            self._requested = self._requested or requested
