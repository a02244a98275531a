"""The interpreter's exit waits for saves that are under way, or says what was lost.

Saves run in daemon threads, which go on until the last `atexit` handler has returned, and ours waits for them there. A
thread that is no daemon would be waited for before, where nobody sees Ctrl-C. From that moment on Python 3.12 starts no
further thread (and no version gives work to an executor), so what needs one does without
(`cloudckpt.storage.side_by_side`, `cloudckpt.storage.deadline`), and a save that begins so late runs in its caller.
"""

from __future__ import annotations

import atexit
import logging
import sys
from typing import TYPE_CHECKING, Protocol

from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["AtExit", "at_exit"]

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds after which a waiting exit says what it waits for."""
CLEANING = 10.0
"""Seconds for what was given up, to leave nothing half."""


class Unfinished(Protocol):
    """What the exit waits for; its text names it."""

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until nothing is under way, and tell whether that is so."""
        ...

    def abort(self, timeout: float) -> bool:
        """Cut off what is under way, and wait for its end; tell whether nothing was lost by it."""
        ...

    def disown(self) -> None:
        """Log what went wrong, as nobody is left to raise it to."""
        ...


class AtExit:
    """What is under way in this process; a forked child has nothing of its parent's."""

    def __init__(self) -> None:
        self._unfinished: PerProcess[set[Unfinished]] = PerProcess(self._begin)
        self.has_begun = False

    def _begin(self) -> set[Unfinished]:
        """Be called at the end of a worker of `multiprocessing`, too, which may run no handler of `atexit`'s."""
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            from multiprocessing.util import Finalize  # noqa: PLC0415 - most programs have no workers

            Finalize(None, self._finish, exitpriority=0)
        return set()

    def add(self, work: Unfinished) -> None:
        """Wait for this at exit, before whatever handler was registered so far: it may close what the work needs."""
        self._unfinished.get().add(work)
        atexit.unregister(self._finish)
        atexit.register(self._finish)

    def remove(self, work: Unfinished) -> None:
        """It is finished."""
        self._unfinished.get().discard(work)

    @property
    def unfinished(self) -> AbstractSet[Unfinished]:
        """What an exit would wait for now."""
        return frozenset(self._unfinished.get())

    def _finish(self) -> None:
        self.has_begun = True
        for work in self.unfinished:
            _wait_for(work)
            work.disown()


def _wait_for(work: Unfinished) -> None:
    """Until it is finished; Ctrl-C once is a question, twice an answer."""
    try:
        if not work.settle(PATIENCE):
            logger.warning("the program's exit waits for %s", work)
            work.settle()
    except KeyboardInterrupt:
        try:
            logger.warning("%s is not finished yet, and the exit waits for it; Ctrl-C again gives it up", work)
            work.settle()
        except KeyboardInterrupt:
            work.abort(CLEANING)


at_exit = AtExit()
