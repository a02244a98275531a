"""Whose turn it is on a busy processor: the training loop's, before a save's."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

__all__ = ["lower_priority"]

NICENESS = 15
"""How much nicer than the process a save is: of a processor that one other thread wants it gets a thirtieth."""


def lower_priority() -> None:
    """Let the calling thread, and those that it starts, give way to the other threads. Only on Linux, where it can.

    Elsewhere a priority is the whole process's.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
