"""What a source of notices reports: that this process is to end, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LEAD", "Notice", "NoticeSource"]

LEAD = 120.0
"""Seconds before its deadline from which on a notice means stop; before that it asks for a save only.

Two minutes are what AWS gives. Azure announces some events days ahead, and may take them back.
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice that this machine, or this process, is to be taken away."""

    reason: str
    """who says so, and what, for the log"""
    received: float
    """when it came, by `time.monotonic`"""
    deadline: float | None = None
    """when it happens at the earliest, by `time.monotonic`; None if nobody says"""
    stop: bool = True
    """whether the job is to save and end now; else it is only well advised to save"""


class NoticeSource(Protocol):
    """Whatever can tell that this process is about to end. A manager starts it, and stops it when it is closed."""

    def start(self, report: Callable[[Notice], None], /) -> None:
        """Report each notice from now on, from any thread or a signal handler. `report` returns at once."""

    def stop(self) -> None:
        """Report no more, and leave everything as it was before `start`. Does nothing if it was not started."""
