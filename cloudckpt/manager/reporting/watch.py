"""One save or restore while it runs: what it has moved, and what those that do the work say of it on their way.

They say it to whatever watches the context that they run in; where nothing does, it is said to nobody.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from cloudckpt.manager.reporting.progress import progress_bar
from cloudckpt.storage.traffic import Traffic, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloudckpt.manager.reporting.tracing import Spans


__all__ = ["Watch", "note_deleted", "note_passed_over", "phase"]


class Watch:
    """One operation while it runs."""

    def __init__(self, title: str, spans: Spans) -> None:
        self._title = title
        self._spans = spans
        self._began = time.monotonic()
        self._traffic = Traffic()
        self._total: int | None = None
        self._deleted: list[str] = []
        self._passed_over: list[int] = []

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def phase(self, name: str) -> None:
        """Begin a phase, for the trace."""
        self._spans.phase(name)

    def passed_over(self, step: int) -> None:
        """Know of a step that is not whole."""
        self._passed_over.append(step)

    def deleted(self, prefixes: Iterable[str]) -> None:
        """Know of checkpoints that are gone."""
        self._deleted.extend(prefixes)

    def expect(self, total: int | None) -> None:
        """Say how many bytes will be transferred, for the bar."""
        self._total = total

    @contextmanager
    def _current(self) -> Iterator[None]:
        token = _watch.set(self)
        try:
            yield
        finally:
            _watch.reset(token)

    @contextmanager
    def _transferring(self, done: Callable[[], int], *, drawn: bool) -> Iterator[None]:
        with (
            self._current(),
            counted(self._traffic),
            progress_bar(self._title, done, lambda: self._total, wanted=drawn),
        ):
            yield


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def phase(name: str) -> None:
    """Begin a phase of the save or restore that is under way in this context, for its trace.

    Args:
        name: "snapshot", "upload", "commit" or "retention".
    """
    watch = _watch.get()
    if watch is not None:
        watch.phase(name)


def note_passed_over(step: int) -> None:
    """Say that the restore under way in this context has found a step that is not whole."""
    watch = _watch.get()
    if watch is not None:
        watch.passed_over(step)


def note_deleted(prefixes: Iterable[str]) -> None:
    """Say that the operation under way in this context has deleted checkpoints."""
    watch = _watch.get()
    if watch is not None:
        watch.deleted(prefixes)
