"""SIGTERM: what schedulers send before they kill, and what kills Python at once where nobody handles it."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from cloudckpt.manager.preemption.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["Sigterm"]

logger = logging.getLogger(__name__)

LARGEST_SIGACTION = 1024
"""Bytes that hold a `struct sigaction` of any system, which is kept and put back without a look at it."""


class Sigterm:
    """A signal that a scheduler sends some time before it kills the process.

    From `start` to `stop` the signal no longer ends the process: the job is to end by itself, once it has saved. The
    user's own Python handler, if there is one, is called after the notice was taken; a second signal calls it again,
    and moves no deadline. `stop` puts back exactly what was there, a handler that a C library installed included
    (which is not called meanwhile).

    Python runs handlers between two of its own instructions: while the main thread is in one long call of C, the notice
    is taken late, and `grace` should be shorter by as much. Processes forked meanwhile treat the signal as if nothing
    had been installed, so that `multiprocessing` can end its workers.

    Args:
        grace: seconds from the signal to the kill. Kubernetes and GCE give 30 where nothing else is configured.
        number: the signal; `signal.SIGUSR1`, say, for Slurm's `--signal=USR1@60`.
    """

    def __init__(self, grace: float = 30.0, *, number: int = signal.SIGTERM) -> None:
        if not grace > 0:
            raise ValueError(f"grace must be more than 0 seconds, got {grace}")
        self._grace = grace
        self._number = signal.Signals(number)
        self._report: Callable[[Notice], None] | None = None
        self._process = 0
        self._previous: Any = None
        self._action: Any = None

    def start(self, report: Callable[[Notice], None], /) -> None:
        """Handle the signal from now on.

        Raises:
            ValueError: this is not the main thread of the main interpreter; or it was started already.
        """
        if self._report is not None:
            raise ValueError("Sigterm is started already: a source belongs to one manager")
        action = _current_action(self._number)
        try:
            self._previous = signal.signal(self._number, self._handle)
        except ValueError as error:
            raise ValueError(
                f"{self._number.name} can be handled in the main thread only: make the manager there, or without "
                "this source of notices"
            ) from error
        self._report, self._process, self._action = report, os.getpid(), action

    def stop(self) -> None:
        """Put back what was there. Where that can't be done now, the handler does what that would have done.

        It can't be in another thread than the main one, and not while a handler that was installed later stands.
        """
        if self._report is None:
            return
        self._report = None
        if not self._is_installed():
            return
        try:
            # What Python knows; None stands for a handler that is none of Python's.
            signal.signal(self._number, signal.SIG_DFL if self._previous is None else self._previous)
        except ValueError:
            logger.debug("the handler of %s stays, and does nothing: this is not the main thread", self._number.name)
            return
        _put_back(self._number, self._action)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        report = self._report
        if os.getpid() != self._process:
            report = None
        if report is not None:
            now = time.monotonic()
            report(Notice(f"{self._number.name} was received", now, now + self._grace))
        if callable(self._previous):
            self._previous(number, frame)
        elif report is None and self._previous != signal.SIG_IGN and self._is_installed():
            # Nobody wants it any more, here or in this forked process: so it ends the process.
            signal.signal(self._number, signal.SIG_DFL)
            os.kill(os.getpid(), self._number)

    def _is_installed(self) -> bool:
        return signal.getsignal(self._number) == self._handle


def _current_action(number: int) -> Any:
    """What the system does at a signal; None where it can't be asked."""
    action = ctypes.create_string_buffer(LARGEST_SIGACTION)
    return action if ctypes.CDLL(None).sigaction(int(number), None, action) == 0 else None


def _put_back(number: int, action: Any) -> None:
    """Let the system do that again: Python's own functions reach no handler that is none of Python's."""
    if action is not None:
        ctypes.CDLL(None).sigaction(int(number), action, None)
