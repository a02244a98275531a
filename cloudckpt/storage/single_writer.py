"""Stores that can't tell two writers apart: a look before the write, and one warning a store and process."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING

from cloudckpt.errors import ObjectNotFoundError, PreconditionFailedError, SingleWriterWarning

if TYPE_CHECKING:
    from cloudckpt.storage.store import Store

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


def require_absent(store: Store, key: str) -> None:
    """Raise `PreconditionFailedError` where the object is there now: nobody keeps it from coming a moment later."""
    try:
        found = store.stat(key)
    except ObjectNotFoundError:
        return
    url = store.url(key)
    raise PreconditionFailedError(f"{url} was not written: it exists already ({found.version})", path=url)
