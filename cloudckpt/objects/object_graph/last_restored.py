"""Which restore last gave each object its values, so that one that comes late undoes nothing of a later one."""

from __future__ import annotations

import itertools
import weakref
from typing import Any, Final

__all__ = ["NEVER", "last_restored", "new_restore", "note_restored", "weakly"]

NEVER = -1
"""The number of no restore."""

_numbers: Final = itertools.count()
_last: Final[dict[int, tuple[weakref.ref[Any], int]]] = {}
"""by the object's identity, for as long as it lives"""


def new_restore() -> int:
    """A number that is higher than those of all restores before."""
    return next(_numbers)


def last_restored(thing: Any) -> int:
    """The number of the restore that last gave an object its values; `NEVER` if none did."""
    found = _last.get(id(thing))
    return found[1] if found is not None and found[0]() is thing else NEVER


def note_restored(thing: Any, restore: int) -> None:
    """Say that a restore has given an object its values; what can't be referred to weakly is not remembered."""
    identity = id(thing)

    def forget(gone: weakref.ref[Any]) -> None:
        if (noted := _last.get(identity)) is not None and noted[0] is gone:
            del _last[identity]

    try:
        _last[identity] = weakref.ref(thing, forget), restore
    except TypeError:
        return


def weakly(thing: Any) -> Any:
    """A call that gives the object, or None once it is gone; what can't be referred to weakly is kept."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing
