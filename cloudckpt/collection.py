"""Python's garbage collector, kept quiet where very many objects are made at once."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["collection_paused"]


@contextmanager
def collection_paused() -> Iterator[None]:
    """No automatic garbage collection within the block, or the decorated function.

    For work that makes objects by the hundred thousand and no cycles of them, where each collection would walk all that
    the program holds and find nothing: beside a large framework that takes longer than the work itself. Never around
    transfers, which may take long. Threads may overlap: whoever found it on turns it on again, which costs those that
    are not done only time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
