"""A bar in the terminal for a transfer that takes long; none where nobody would see it."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PATIENCE", "progress_bar"]

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a transfer goes on without a bar."""
_EVERY = 0.2
"""Seconds between two looks at how far it is."""
LONGEST_END = 2.0
"""Seconds that a transfer waits for its bar to be gone."""
_turn = PerProcess(threading.Lock)
"""held while a bar is drawn: two would write over each other, and leave `sys.stderr` with a console of rich's"""


@contextmanager
def progress_bar(
    title: str, done: Callable[[], int], total: Callable[[], int | None], *, wanted: bool
) -> Iterator[None]:
    """Draw how far the block is on stderr, once it has taken two seconds; the bar is gone when the block ends.

    There is none where stderr is no terminal, or rich is not installed; of several at a time the first is drawn, then
    the next. What goes wrong with one is logged, no more.

    Args:
        title: what is transferred.
        done: bytes so far; called from another thread.
        total: bytes that it will be, or None while nobody knows; likewise.
        wanted: False for no bar.
    """
    if not wanted or not _is_seen():
        yield
        return
    over = threading.Event()
    drawer = threading.Thread(target=_draw, args=(title, done, total, over), name="cloudckpt-progress", daemon=True)
    with suppress(RuntimeError):  # the interpreter exits, or the system has no more threads
        drawer.start()
    try:
        yield
    finally:
        over.set()
        if drawer.ident is not None:
            drawer.join(LONGEST_END)  # a terminal that the user has stopped (Ctrl-S) keeps it waiting


def _is_seen() -> bool:
    """Whether somebody looks at stderr; not where it is closed, or is no file but what a program has put there."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, OSError, ValueError):
        return False


def _draw(title: str, done: Callable[[], int], total: Callable[[], int | None], over: threading.Event) -> None:
    if over.wait(PATIENCE):
        return
    turn = _turn.get()
    while not turn.acquire(timeout=_EVERY):
        if over.is_set():
            return
    try:
        _draw_with_rich(title, done, total, over)
    except ImportError:
        logger.debug("no progress bar, as rich is not installed: pip install 'cloudckpt[progress]'")
    except Exception:  # a bar must not cost a checkpoint
        logger.debug("the progress bar failed", exc_info=True)
    finally:
        turn.release()


def _draw_with_rich(
    title: str, done: Callable[[], int], total: Callable[[], int | None], over: threading.Event
) -> None:
    # Not before a bar is drawn: most jobs run without a terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        # What others print appears above the bar; what goes to a file goes on doing so.
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task(title, total=None)
        while not over.wait(_EVERY):
            bar.update(task, completed=done(), total=total())
