"""What no process may take over from another: connections, and locks that a thread of the other one may hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PerProcess"]

_Value = TypeVar("_Value")


class PerProcess(Generic[_Value]):
    """A value that each process makes for itself when it first asks for it, by any number of threads.

    A lock that another thread holds while a process forks stays locked in the child for ever. So this has none.

    Args:
        make: makes the value; may be called by two threads at once, and then one of its values is not used.
        abandon: told in a child, once, of what it inherited.
    """

    def __init__(self, make: Callable[[], _Value], abandon: Callable[[_Value], None] = lambda _: None) -> None:
        self._make, self._abandon = make, abandon
        self._by_process: dict[int, _Value] = {}

    def get(self) -> _Value:
        """This process's value."""
        process = os.getpid()
        value = self._by_process.get(process)
        if value is None:
            for other in [pid for pid in self._by_process if pid != process]:
                inherited = self._by_process.pop(other, None)
                if inherited is not None:
                    self._abandon(inherited)
            value = self._by_process.setdefault(process, self._make())
        return value
