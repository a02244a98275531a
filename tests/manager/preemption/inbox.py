"""Where a source's notices arrive in a test."""

from __future__ import annotations

import queue
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudckpt.preemption import Notice, NoticeSource

PATIENCE = 30.0
"""Seconds: how long a busy machine may take for what is done in milliseconds."""


class Inbox:
    """The notices in their order."""

    def __init__(self) -> None:
        self._notices: queue.SimpleQueue[Notice] = queue.SimpleQueue()

    def next(self) -> Notice:
        return self._notices.get(timeout=PATIENCE)

    def is_empty(self) -> bool:
        return self._notices.empty()

    def report(self, notice: Notice) -> None:
        self._notices.put(notice)


@contextmanager
def started(source: NoticeSource) -> Iterator[Inbox]:
    """The source's notices, while the block runs."""
    inbox = Inbox()
    source.start(inbox.report)
    try:
        yield inbox
    finally:
        source.stop()
