"""How long a save will take, by how long the last ones took."""

from __future__ import annotations

from collections import deque

__all__ = ["SaveTimes"]

REMEMBERED = 3


class SaveTimes:
    """The last few saves of one manager."""

    def __init__(self) -> None:
        self._times: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)

    def note(self, size: int, seconds: float) -> None:
        """Remember a save of so many bytes."""
        self._times.append((size, seconds))

    def estimate(self, size: int) -> float | None:
        """Seconds that a save of so many bytes takes, by the slowest of those; None before the first.

        A larger one takes longer in proportion, and a smaller one no less: it may have been requests that took the
        time, and not bytes.
        """
        return max((seconds * max(1.0, size / max(1, known)) for known, seconds in self._times), default=None)
