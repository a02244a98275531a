"""The time that a program sees: it stands still, unless the program lets it pass or sleeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

HOUR = 3600.0


class Clock:
    """Stands in for `time.time` and `time.sleep`, which both TensorFlow's saver and ours look up at each call."""

    def __init__(self, start: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = start
        self._later: list[tuple[float, Callable[[], object]]] = []
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.pass_seconds)

    def pass_hours(self, hours: float) -> None:
        self.pass_seconds(hours * HOUR)

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass, and do what was to be done meanwhile."""
        end = self.now + seconds
        while due := sorted((entry for entry in self._later if entry[0] <= end), key=lambda entry: entry[0]):
            self._later.remove(due[0])
            self.now = max(self.now, due[0][0])
            due[0][1]()
        self.now = end

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do this once so many seconds have passed, in the middle of whoever sleeps then."""
        self._later.append((self.now + seconds, action))
