"""The values that a session holds, by the name of the operation that they are values of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.own_value import sealed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["SessionState"]


class SessionState:
    """Arrays by name, replaced and never written into: a reader keeps what was there when it read.

    Any thread may read and assign at any time; updates of one value follow one another.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> NDArray[Any]:
        """The value itself, read only.

        Raises:
            InvalidArgumentError: nothing was assigned.
        """
        try:
            return self._arrays[name]
        except KeyError:
            raise InvalidArgumentError(
                f"{name!r} is not initialized in this session: run its initializer, or "
                "global_variables_initializer(), or restore it",
                tensor=name,
            ) from None

    def assign(self, name: str, array: NDArray[Any]) -> None:
        """Take over an array in C order without a copy; nobody may write to it any more."""
        self._arrays[name] = sealed(array)

    def update(self, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """Replace a value by what a function makes of it, with no other update in between.

        Raises:
            InvalidArgumentError: nothing was assigned.
        """
        with self._lock:
            self.assign(name, change(self.read(name)))

    def is_initialized(self, name: str) -> bool:
        """Whether anything was assigned."""
        return name in self._arrays

    def clear(self) -> None:
        """Forget all values."""
        self._arrays = {}
