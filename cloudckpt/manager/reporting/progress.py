"""A bar in the terminal for a transfer that takes long; none where nobody would see it."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PATIENCE", "progress_bar"]

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a transfer goes on without a bar."""
_EVERY = 0.2
"""Seconds between two looks at how far it is."""


@contextmanager
def progress_bar(
    title: str, done: Callable[[], int], total: Callable[[], int | None], *, wanted: bool
) -> Iterator[None]:
    """Draw how far the block is on stderr, once it has taken two seconds; the bar is gone when the block ends.

    There is none where stderr is no terminal, or rich is not installed. What goes wrong with it is logged, no more.

    Args:
        title: what is transferred.
        done: bytes so far; called from another thread.
        total: bytes that it will be, or None while nobody knows; likewise.
        wanted: False for no bar.
    """
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    drawer = threading.Thread(target=_draw, args=(title, done, total, over), name="cloudckpt-progress", daemon=True)
    drawer.start()
    try:
        yield
    finally:
        over.set()
        drawer.join()


def _draw(title: str, done: Callable[[], int], total: Callable[[], int | None], over: threading.Event) -> None:
    if over.wait(PATIENCE):
        return
    try:
        _draw_with_rich(title, done, total, over)
    except ImportError:
        logger.debug("no progress bar, as rich is not installed: pip install 'cloudckpt[progress]'")
    except Exception:  # a bar must not cost a checkpoint
        logger.debug("the progress bar failed", exc_info=True)


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
