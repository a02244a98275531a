"""Saves behind the back of a training loop: one in flight, and what becomes of the next one meanwhile.

The order of things, on which the promises rest:

1. The snapshot is taken in the caller's thread, into buffers that no thread reads. Then `start` returns.
2. The save runs in a thread of its own, from its first request to retention, as atomic as any other.
3. The buffers are free again when that has ended, well or not: no thread of a save outlives it.
"""

from __future__ import annotations

import logging
import weakref
from contextvars import copy_context
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, get_args

from cloudckpt.errors import StorageTimeoutError
from cloudckpt.manager.background.flight import Flight, Job
from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from numpy.typing import NDArray

__all__ = ["BackgroundSaves", "WhenBusy"]

logger = logging.getLogger(__name__)

WhenBusy = Literal["wait", "skip", "replace"]
"""What becomes of a save while another one is in flight: it waits for that one's end and then begins; nothing is saved;
or its snapshot is taken, and it begins after that one's end, unless a newer one comes and takes its place."""

MOST_FOR_CLEANING = 2.0
"""Seconds, of those that `finish_within` has, kept for a clean end of what is cut off; at most a quarter of them."""


class BackgroundSaves:
    """One save in flight, in a thread of its own. For any thread, but see `require_other_thread`.

    What goes wrong behind is raised by the next call of `start`, `wait` or `check_for_errors`, once. If none comes,
    because this is dropped or the interpreter exits, it is logged. That exit waits for what is under way; a forked
    child has nothing of it.

    Args:
        when_busy: what becomes of a save while another one is in flight.

    Raises:
        ValueError: there is no such policy.
    """

    def __init__(self, when_busy: WhenBusy = "wait") -> None:
        if when_busy not in get_args(WhenBusy):
            raise ValueError(f"when_busy must be one of {', '.join(get_args(WhenBusy))}; got {when_busy!r}")
        self._when_busy = when_busy
        self._flights = PerProcess(Flight)
        # Of two that start at once the second would take the place of the first. A signal's handler may start one, too.
        self._starting = PerProcess(RLock)
        weakref.finalize(self, _disown, self._flights)

    def start(
        self,
        subject: str,
        tensors: Mapping[str, NDArray[Any]],
        save: Callable[[dict[str, NDArray[Any]]], object],
        *,
        frozen: Container[str] = (),
        withdrawn: Callable[[], None] = lambda: None,
    ) -> bool:
        """Take a snapshot, and save it behind; when this returns, the arrays may be written to again.

        Args:
            subject: what is saved, for messages.
            tensors: arrays by name.
            save: called with the snapshot, in another thread, in a copy of this context.
            frozen: names of arrays that nobody will write to: they are not copied.
            withdrawn: called if this returns True and it is not begun after all.

        Returns:
            Whether it is being saved, or will be; False where it is skipped, as another one is in flight.

        Raises:
            Exception: what an earlier save has failed with; this one is not begun.

        Cost: that of `SnapshotBuffers.take`; with "wait", what is left of the save in flight. Memory: that of the
        arrays that are not frozen, for good; with "replace", twice.
        """
        flight = self._flights.get()
        with self._starting.get():
            flight.raise_errors()
            if flight.is_busy and self._when_busy == "skip":
                logger.warning("%s is not saved: %s is still under way", subject, flight)
                return False
            if self._when_busy == "wait":
                self.wait()
            buffers = flight.buffers()
            try:
                snapshot = buffers.take(tensors, frozen)
            except BaseException:
                flight.give_back(buffers)
                raise
            flight.launch(Job(subject, save, snapshot, buffers, copy_context(), withdrawn))
        return True

    @property
    def is_busy(self) -> bool:
        """Whether a save is under way."""
        return self._flights.get().is_busy

    def require_other_thread(self) -> None:
        """Raise if the caller is called by the save in flight, as a listener is: what waits would wait for itself.

        Raises:
            RuntimeError: it is.
        """
        flight = self._flights.get()
        if flight.is_run_here:
            raise RuntimeError(f"what {flight} calls, as a listener, can't wait for it: do that in another thread")

    def settle(self) -> None:
        """Wait until no save is under way, and raise nothing of what went wrong."""
        self._flights.get().settle()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until no save is under way: what `start` took is durable when this returns, as far as no newer one has
        replaced it.

        Args:
            timeout: seconds.

        Raises:
            StorageTimeoutError: the time is over; the save goes on.
            Exception: what a save has failed with.
        """
        flight = self._flights.get()
        if not flight.settle(timeout):
            raise StorageTimeoutError(f"{flight} is still under way after {timeout:g} s; it goes on")
        flight.raise_errors()

    def check_for_errors(self) -> None:
        """Raise what a save has failed with since the last call that did.

        Raises:
            Exception: that.
        """
        self._flights.get().raise_errors()

    def finish_within(self, seconds: float) -> bool:
        """Let the save in flight finish if it fits into the time; else cut it off, so that nothing is half.

        One that is cut off leaves garbage at most, and is logged; it raises nothing. What it was to replace stands.

        Args:
            seconds: until this returns, whatever the store does.

        Returns:
            Whether nothing was cut off. What a save has failed with is raised by the next call.
        """
        flight = self._flights.get()
        cleaning = min(MOST_FOR_CLEANING, seconds / 4)
        return flight.settle(seconds - cleaning) or flight.abort(cleaning)


def _disown(flights: PerProcess[Flight]) -> None:
    flights.get().disown()
