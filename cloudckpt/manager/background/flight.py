"""The thread that saves: one job at a time, perhaps another one behind it, and what became of them."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.parallel import behind
from cloudckpt.manager.background.at_exit import at_exit
from cloudckpt.manager.background.priority import lower_priority
from cloudckpt.manager.background.snapshot import SnapshotBuffers
from cloudckpt.storage.deadline import cut_off
from cloudckpt.storage.side_by_side import NAP

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from numpy.typing import NDArray

__all__ = ["Flight", "Job"]

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Job:
    """One save, and all that it needs."""

    subject: str
    """what is saved, for messages"""
    save: Callable[[dict[str, NDArray[Any]]], object]
    snapshot: dict[str, NDArray[Any]]
    buffers: SnapshotBuffers
    """that the snapshot is in; free when the job is done, or withdrawn"""
    context: Context
    """of the caller"""
    withdrawn: Callable[[], None] = field(default=lambda: None)
    """told if it is not begun after all"""
    cut: Callable[[], None] = field(default=lambda: None)
    """ends it now, while it runs"""
    is_aborted: bool = False
    is_saved: bool = False


class Flight:
    """The saves of one `BackgroundSaves` in one process. Safe for several threads.

    A thread exists only while there is work, and takes on the job that waits when it is done with one: while the
    interpreter exits, no other could be started.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: Job | None = None
        self._thread_at_work: int | None = None
        """the identity of the thread that runs it, once it does"""
        self._thread: threading.Thread | None = None
        self._waiting: Job | None = None
        self._free: list[SnapshotBuffers] = []
        self._failures: list[tuple[str, BaseException]] = []
        self._is_disowned = False

    def __str__(self) -> str:
        return " and ".join(f"the save of {job.subject}" for job in (self._running, self._waiting) if job) or "no save"

    @property
    def is_busy(self) -> bool:
        """Whether a save is under way."""
        return self._running is not None

    @property
    def is_run_here(self) -> bool:
        """Whether the caller is called by a save that is under way: to wait for that would be to wait for itself."""
        return self._thread_at_work == threading.get_ident()

    def buffers(self) -> SnapshotBuffers:
        """Buffers that no thread reads; those of the job that waits, which is thereby withdrawn, if there is one."""
        with self._changed:
            waiting, self._waiting = self._waiting, None
            if waiting is None:
                return self._free.pop() if self._free else SnapshotBuffers()
        logger.info("%s was not begun, as a newer one replaces it", waiting.subject)
        waiting.withdrawn()
        return waiting.buffers

    def give_back(self, buffers: SnapshotBuffers) -> None:
        """Keep buffers that no thread reads for the next snapshot."""
        with self._changed:
            self._free.append(buffers)

    def launch(self, job: Job) -> None:
        """Run a job behind: now, or after the one that runs. In the caller's thread if the interpreter exits."""
        with self._changed:
            if self._running is not None:
                self._waiting = job
                return
            self._running = job
            at_exit.add(self)
        try:
            is_begun = not at_exit.has_begun and self._start(job)
        except BaseException:
            self._take_back_unless_begun(job)  # Ctrl-C may have come before there was a thread
            raise
        if not is_begun:
            self._run_all(job)

    def _start(self, job: Job) -> bool:
        """Run a job in a thread of its own; whether that can be."""
        thread = threading.Thread(target=self._work, args=(job,), name="cloudckpt-saves", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter exits, though no handler has been told yet; or there are no more
            logger.info("%s is saved in the caller's thread, as no other can be started", job.subject)
            return False
        self._thread = thread
        return True

    def _take_back_unless_begun(self, job: Job) -> None:
        with self._changed:
            if self._running is job and self._thread_at_work is None:
                self._free.append(job.buffers)
                self._running = None
                at_exit.remove(self)

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until no job runs or waits, and their thread has ended, at most so many seconds; whether that is so."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        with self._changed:
            # In naps, for Ctrl-C to be noticed.
            while self._running is not None and (left := end - time.monotonic()) > 0:
                self._changed.wait(min(left, NAP))
            if self._running is not None:
                return False
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        return True

    def abort(self, timeout: float) -> bool:
        """Cut off the job that runs, withdraw the one that waits, and wait for the end; whether none was lost by it."""
        with self._changed:
            running, waiting = self._running, self._waiting
            if running is None:
                return True
            logger.warning("%s is given up; what was committed before stands", self)
            running.is_aborted, self._waiting = True, None
            if waiting is not None:
                self._free.append(waiting.buffers)
            running.cut()
        if waiting is not None:
            waiting.withdrawn()
        if not self.settle(timeout):
            logger.warning("the save of %s has not ended within %g s of being cut off", running.subject, timeout)
        elif running.is_saved:
            logger.warning("%s was saved all the same", running.subject)
        return running.is_saved and waiting is None

    def raise_errors(self) -> None:
        """Raise what went wrong since the last call: the first error, with notes about others."""
        with self._changed:
            failures, self._failures = self._failures, []
        if failures:
            (_, error), *others = failures
            for subject, other in others:
                error.add_note(f"The save of {subject} failed too: {other!r}")
            raise error

    def disown(self) -> None:
        """Log errors, those from before and those to come: nobody is left to raise them to."""
        with self._changed:
            failures, self._failures, self._is_disowned = self._failures, [], True
        for failure in failures:
            _log(*failure)

    def _work(self, job: Job) -> None:
        lower_priority()
        self._run_all(job)

    def _run_all(self, first: Job) -> None:
        with self._changed:
            if self._running is not first:
                return  # it was taken back
            self._thread_at_work = threading.get_ident()
        job: Job | None = first
        while job is not None:
            self._run(job)
            # Let go of the arrays while this thread surely runs: where the interpreter's exit stops it in the midst of
            # freeing one of JAX's, which is C++, the process aborts.
            job.snapshot = {}
            with self._changed:
                self._free.append(job.buffers)
                self._running, self._waiting = self._waiting, None
                if (job := self._running) is None:
                    self._thread_at_work = None
                    at_exit.remove(self)
                self._changed.notify_all()

    def _run(self, job: Job) -> None:
        try:
            job.context.run(self._save, job)
        except BaseException as error:  # noqa: BLE001 - raised by the next call, or logged
            self._record(job, error)

    def _save(self, job: Job) -> None:
        with behind(), cut_off() as cut:
            with self._changed:
                job.cut = cut
                if job.is_aborted:
                    cut()
            job.save(job.snapshot)
        job.is_saved = True

    def _record(self, job: Job, error: BaseException) -> None:
        with self._changed:
            if job.is_aborted:
                logger.info("the save of %s was cut off: %s", job.subject, error)
            elif self._is_disowned:
                _log(job.subject, error)
            else:
                self._failures.append((job.subject, error))


def _log(subject: str, error: BaseException) -> None:
    logger.error("%s could not be saved in the background, and is lost: %s", subject, error, exc_info=error)
