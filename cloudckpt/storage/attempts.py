"""The one place where what failed is tried again: how often, how soon, and for how long."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from cloudckpt.errors import StorageTimeoutError, TransientStorageError
from cloudckpt.storage.deadline import pause, remaining, require_time, time_is_over
from cloudckpt.storage.per_process import PerProcess
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIRST_WAIT", "LONGEST_WAIT", "MAX_RETRY_SECONDS", "Attempts"]

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

MAX_RETRY_SECONDS = 120.0
FIRST_WAIT = 0.25
LONGEST_WAIT = 20.0

MOST_RETRIES = 100.0
"""Retries that all operations of a store have together before they must wait for each other."""
RETRIES_PER_SUCCESS = 0.2
RETRIES_PER_SECOND = 1.0


class _Budget:
    """The retries that are left: many for a bad moment, few for an outage, in which they would only add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = MOST_RETRIES
        self._counted: float | None = None

    def take(self, now: float) -> float:
        """Take one retry; returns the seconds until its turn comes."""
        with self._lock:
            earned = 0.0 if self._counted is None else (now - self._counted) * RETRIES_PER_SECOND
            self._counted = now
            self._left = min(MOST_RETRIES, self._left + earned) - 1.0
            return max(0.0, -self._left / RETRIES_PER_SECOND)

    def earn(self, retries: float) -> None:
        """Add what a success is worth, or a retry that was taken and is not made."""
        with self._lock:
            self._left = min(MOST_RETRIES, self._left + retries)


class Attempts:
    """Does operations again that fail in a way that may pass, with jittered exponential back-off, until a deadline.

    That is `max_seconds` from the operation's begin, or the end of the caller's time limit. All operations share a
    budget of retries: 100 to begin with and at most, one more each second, and one for five successes.

    Args:
        max_seconds: after this long since an operation began no further attempt is made.
        sleep: waits that many seconds; for tests.
        clock: seconds, going only forward; for tests.
    """

    def __init__(
        self,
        max_seconds: float = MAX_RETRY_SECONDS,
        *,
        sleep: Callable[[float], None] = pause,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_seconds = max_seconds
        self._sleep = sleep
        self._clock = clock
        self._budget = PerProcess(_Budget)

    def run(self, what: str, operation: Callable[[], _Result]) -> _Result:
        """Do it, again and again while it fails in a way that may pass and there is time.

        Args:
            what: the operation and its URL, for the log and the error.
            operation: what to do; may be done more than once.

        Raises:
            TransientStorageError: the last failure, with the number of attempts.
            StorageTimeoutError: the caller's time is over; with the last failure, and the number of attempts.
        """
        began, number, cause = self._clock(), 0, None
        while True:
            try:
                require_time(what)
                number += 1
                result = operation()
            except StorageTimeoutError as error:
                raise self._out_of_time(error, cause, number, self._clock() - began) from error
            except TransientStorageError as error:
                cause = error
            else:
                self._budget.get().earn(RETRIES_PER_SUCCESS)
                return result
            elapsed = self._clock() - began
            seconds = self._seconds_to_wait(cause, number, self.max_seconds - elapsed)
            self._require_time_for_another(what, cause, number, seconds, elapsed)
            _log.warning("%s failed (attempt %d), trying again in %.1f s: %s", what, number, seconds, cause)
            self._sleep(seconds)
            record(retries=1)

    def _seconds_to_wait(self, cause: TransientStorageError, number: int, left: float) -> float:
        """Random up to a bound that doubles, and never less than the server asked for, or than the budget demands.

        A server that is starting asks for two minutes, and is there in two seconds: so it gets no more than the longest
        wait, nor than half of the time that is left.
        """
        bound = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(number - 1, 16))
        jittered = random.uniform(bound / 2, bound)  # noqa: S311 - jitter is no secret
        in_limit = remaining()
        asked = min(cause.retry_after or 0.0, LONGEST_WAIT, (left if in_limit is None else min(left, in_limit)) / 2)
        return max(jittered, asked, self._budget.get().take(self._clock()))

    def _require_time_for_another(
        self, what: str, cause: TransientStorageError, number: int, seconds: float, elapsed: float
    ) -> None:
        left = remaining()
        in_limit = left is None or seconds < left
        if in_limit and elapsed + seconds <= self.max_seconds:
            return
        self._budget.get().earn(1.0)
        kind, why = (TransientStorageError, "gave up") if in_limit else (StorageTimeoutError, time_is_over())
        raise kind(
            f"{cause} ({why}{'' if in_limit else ' before another attempt'}: {what} failed {number} times in "
            f"{elapsed:.0f} s)",
            path=cause.path,
            retry_after=cause.retry_after,
            attempts=number,
        ) from cause

    def _out_of_time(
        self, error: StorageTimeoutError, cause: TransientStorageError | None, number: int, elapsed: float
    ) -> StorageTimeoutError:
        before = "" if cause is None else f"; before: {cause}"
        return StorageTimeoutError(
            f"{error} (gave up after {number} attempts in {elapsed:.0f} s{before})", path=error.path, attempts=number
        )
