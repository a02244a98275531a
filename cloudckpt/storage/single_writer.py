"""The warning that a store can't tell two writers apart: once a store and process."""

from __future__ import annotations

import threading
import warnings

from cloudckpt.errors import SingleWriterWarning

_warned: set[str] = set()
_lock = threading.Lock()


def warn_of_single_writer(name: str) -> None:
    """Warn, the first time in this process that the store of that name is written on a condition."""
    with _lock:
        if name in _warned:
            return
        _warned.add(name)
    warnings.warn(
        f"{name} has no conditional writes: see to it that only one program at a time writes a checkpoint there",
        SingleWriterWarning,
        stacklevel=2,
    )
