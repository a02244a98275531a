"""What is tracked when it is assigned to an attribute, or put into a tracked container."""

from __future__ import annotations

from typing import Any, Final

from cloudckpt.variables.foreign.trackables import is_foreign_trackable
from cloudckpt.variables.partitions.partitioned import PartitionedVariable
from cloudckpt.variables.trackable.python_state import PythonState
from cloudckpt.variables.trackable.tracks import Tracks
from cloudckpt.variables.variable import Variable

__all__ = ["NoDependency", "is_plain", "is_trackable"]

_PLAIN: Final = frozenset({bool, int, float, complex, str, bytes, type(None)})
"""Nearly all that is not tracked, and so need not be looked at any closer."""


class NoDependency:
    """What keeps a value from being tracked: `module.cache = NoDependency([…])` makes the attribute the plain list.

    Works in an attribute, and for an element of a list, dict or tuple that is tracked.

    Args:
        value: what is to be kept, as it is.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def is_plain(value: Any) -> bool:
    """Whether it is a number, text or None of Python's."""
    return type(value) in _PLAIN


def is_trackable(value: Any) -> bool:
    """Whether it is an object of the graph by itself: one that tracks others, Python state, or a variable,
    a partitioned one too.

    Also what other frameworks have of that kind. Numbers and texts are not, and neither are arrays: what changes by
    training belongs into a `Variable`.
    """
    if is_plain(value):
        return False
    return isinstance(value, Tracks | PythonState | Variable | PartitionedVariable) or is_foreign_trackable(value)
