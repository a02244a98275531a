"""What a manager tells of its work: small records, given to whoever listens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = [
    "DeletedReport",
    "Listener",
    "Listeners",
    "PreemptionReport",
    "Report",
    "RestoreReport",
    "SaveReport",
    "SkippedReport",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveReport:
    """A save has ended: committed, or failed with an error. Given in the thread that did the work."""

    step: int
    prefix: str
    """where it is, or would be: a URL without credentials, or a path"""
    seconds: float
    """from the call of `save` to the end of the commit, and of the retention after it"""
    stall: float
    """seconds of those that the training loop stood still in `save`: all of them unless saves are asynchronous"""
    bytes: int
    """sent to the store: data, index and state file; again where a request was repeated"""
    requests: int
    """what was asked of the store; of a local disk the system's reads and writes"""
    retries: int
    """operations that were repeated, as they had failed in a way that may pass"""
    error: BaseException | None = None
    """why it failed; None if it is committed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedReport:
    """A step that was due was not saved: another one was under way, or newer, or time was short."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """A restore has ended: with a step, with nothing to restore, or with an error."""

    step: int | None
    """the step that was loaded; None if there was none, or it failed before one was chosen"""
    prefix: str | None
    """where it came from: a URL without credentials, or a path"""
    passed_over: tuple[int, ...]
    """newer steps that turned out not to be whole, in the order in which they were tried"""
    seconds: float
    bytes: int
    """received from the store"""
    requests: int
    """as in `SaveReport`"""
    retries: int
    """as in `SaveReport`"""
    error: BaseException | None = None
    """why it failed, or None"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedReport:
    """Checkpoints that are gone: retention dropped them, or somebody called `delete`."""

    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptionReport:
    """This machine is about to be taken away."""

    reason: str
    """who says so"""
    seconds_left: float | None
    """until then; None if nobody knows"""


Report = SaveReport | SkippedReport | RestoreReport | DeletedReport | PreemptionReport
Listener = Callable[[Report], object]


class Listeners:
    """Those who are told. What one of them raises is logged, and costs no checkpoint.

    Args:
        on_event: one callable, several, or None.
    """

    def __init__(self, on_event: Listener | Iterable[Listener] | None = None) -> None:
        self._listeners: tuple[Listener, ...]
        if on_event is None:
            self._listeners = ()
        elif callable(on_event) or not isinstance(on_event, Iterable):
            self._listeners = (on_event,)
        else:
            self._listeners = tuple(on_event)
        for listener in self._listeners:
            if not callable(listener):
                raise TypeError(f"on_event takes a callable, or several, got {listener!r}")

    def tell(self, report: Report) -> None:
        """Give them a report, one after the other, in this thread."""
        for listener in self._listeners:
            try:
                listener(report)
            except Exception:
                logger.exception("%r failed over %r", listener, report)
