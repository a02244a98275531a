"""Saves and restores as they are seen from outside: timed, counted, traced, drawn, and reported at their end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cloudckpt.manager.reporting.reports import (
    DeletedReport,
    Listeners,
    PreemptionReport,
    RestoreReport,
    SaveReport,
    SkippedReport,
)
from cloudckpt.manager.reporting.tracing import Spans
from cloudckpt.manager.reporting.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.manager.reporting.reports import Listener
    from cloudckpt.storage.location import Location

__all__ = ["Observer", "RestoreWatch", "SaveWatch"]

logger = logging.getLogger(__name__)

Found = TypeVar("Found", bound=tuple[int, Any] | None)
Load = Callable[["Location", "PrefixFiles | None"], Any]


class SaveWatch(Watch):
    """A save, from the call of `save` to its report. `run` may be in another thread than the rest.

    Args:
        listeners: who gets the report.
        progress: as for `Observer`.
        step: the step.
        prefix: its checkpoint's URL or path.
    """

    def __init__(self, listeners: Listeners, progress: bool | None, step: int, prefix: str) -> None:
        super().__init__(f"saving step {step}", Spans("save", {"step": step, "prefix": prefix}))
        self._listeners, self._progress = listeners, progress
        self._step, self._prefix = step, prefix
        self._stalled = 0.0
        self._stalled_since: float | None = None
        self._runs = False

    @contextmanager
    def stall(self) -> Iterator[None]:
        """The training loop stands still during the block. If it raises before `run` began, that is the save's end."""
        self._stalled_since = time.monotonic()
        try:
            with self._current():
                yield
        except BaseException as error:
            if not self._runs:
                self._end(error)
            raise
        finally:
            self._stalled, self._stalled_since = self._stall, None

    @contextmanager
    def run(self, total: int | None = None) -> Iterator[None]:
        """The block does the save, and its end is the save's: what it raises goes on, and into the report.

        Args:
            total: the bytes to be sent, as far as is known.
        """
        self._runs = True
        self.expect(total)
        drawn = bool(self._progress) or (self._progress is None and self._stalled_since is not None)
        error: BaseException | None = None
        try:
            with self._transferring(lambda: self._traffic.sent, drawn=drawn):
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._end(error)

    def skipped(self) -> None:
        """There will be no such save: another is under way, or took its place, or it takes too long. Not after one."""
        if self._runs:
            return
        self._spans.end({"skipped": True}, None)
        self._listeners.tell(SkippedReport(step=self._step))

    @property
    def _stall(self) -> float:
        """Seconds that the loop has stood still until now."""
        since = self._stalled_since
        return self._stalled + (0.0 if since is None else time.monotonic() - since)

    def _end(self, error: BaseException | None) -> None:
        report = SaveReport(
            step=self._step,
            prefix=self._prefix,
            seconds=self._seconds,
            stall=self._stall,
            bytes=self._traffic.sent,
            requests=self._traffic.requests,
            retries=self._traffic.retries,
            error=error,
        )
        if error is None:
            stall = f"the loop stood still for {report.stall:.2f} s"
            logger.info("saved step %d to %s: %s, %s", report.step, report.prefix, _figures(report), stall)
        else:
            logger.warning(
                "step %d was not saved to %s: %s", report.step, report.prefix, str(error) or type(error).__name__
            )
        figures = {"bytes": report.bytes, "requests": report.requests, "retries": report.retries, "stall": report.stall}
        self._spans.end(figures, error)
        self._listeners.tell(report)
        if self._deleted:
            self._listeners.tell(DeletedReport(prefixes=tuple(self._deleted)))


class RestoreWatch(Watch):
    """A restore: see `Observer.restore`."""

    def __init__(self, directory: str) -> None:
        super().__init__(f"restoring from {directory}", Spans("restore", {"directory": directory}))
        self._step: int | None = None
        self._prefix: str | None = None

    def loading(self, load: Load) -> Load:
        """The same function, which tells this watch what it is called with."""

        def watched(prefix: Location, files: PrefixFiles | None) -> Any:
            self._prefix = prefix.url
            self.expect(sum(info.size for info in files.data.values()) if files is not None else None)
            return load(prefix, files)

        return watched

    def found(self, found: Found) -> Found:
        """Take note of the step that was loaded by the last call of the function, and give it back."""
        self._step = None if found is None else found[0]
        return found

    def report(self, error: BaseException | None) -> RestoreReport:
        """End it; the report is logged and traced already."""
        step, prefix = self._step, self._prefix if self._step is not None else None
        report = RestoreReport(
            step=step,
            prefix=prefix,
            passed_over=tuple(self._passed_over),
            seconds=self._seconds,
            bytes=self._traffic.received,
            requests=self._traffic.requests,
            retries=self._traffic.retries,
            error=error,
        )
        if report.step is not None and error is None:
            logger.info("restored step %d from %s: %s", report.step, report.prefix, _figures(report))
        known = {"step": step, "prefix": prefix, "passed_over": report.passed_over}
        figures = {"bytes": report.bytes, "requests": report.requests, "retries": report.retries}
        self._spans.end({**known, **figures}, error)
        return report

    @contextmanager
    def transferring(self, *, drawn: bool) -> Iterator[None]:
        """Count and draw what the block does."""
        with self._transferring(lambda: self._traffic.received, drawn=drawn):
            yield


class Observer:
    """Watches one manager's work, for its log, its listeners, its trace and the terminal.

    Args:
        on_event: who is told (`Listeners`).
        progress: False for no bars; None for bars while the training loop stands still; True also behind it.
    """

    def __init__(
        self,
        on_event: Listener | Iterable[Listener] | None = None,
        *,
        progress: bool | None = None,
    ) -> None:
        self._listeners = Listeners(on_event)
        self._progress = progress

    def save(self, step: int, prefix: str) -> SaveWatch:
        """Begin to watch a save, in the thread of the training loop, once its arguments are in order."""
        return SaveWatch(self._listeners, self._progress, step, prefix)

    @contextmanager
    def restore(self, directory: str) -> Iterator[RestoreWatch]:
        """Watch a restore, which is the block; it tells the watch what it `found`."""
        watch = RestoreWatch(directory)
        error: BaseException | None = None
        try:
            with watch.transferring(drawn=self._progress is not False):
                yield watch
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._listeners.tell(watch.report(error))

    def deleted(self, prefixes: Iterable[str]) -> None:
        """Tell that checkpoints are gone."""
        self._listeners.tell(DeletedReport(prefixes=tuple(prefixes)))

    def preempted(self, reason: str, seconds_left: float | None) -> None:
        """Tell that this machine is about to be taken away."""
        logger.warning("this machine is about to be taken away: %s", reason)
        self._listeners.tell(PreemptionReport(reason=reason, seconds_left=seconds_left))


def _figures(report: SaveReport | RestoreReport) -> str:
    rate = report.bytes / report.seconds / 1e9 if report.seconds else 0.0
    moved = f"{report.bytes / 1e6:.1f} MB in {report.seconds:.2f} s ({rate:.2f} GB/s)"
    return f"{moved}, {report.requests} requests, {report.retries} retries"
