"""The value that a variable has by itself, beside those that sessions hold of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.arithmetic import ArrayArithmetic

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

__all__ = ["OwnValue", "sealed", "unshared"]

_UPDATING: Final = threading.Lock()
"""Held while any value is updated; one for each variable could be neither copied nor pickled with it."""


def sealed(array: NDArray[Any]) -> NDArray[Any]:
    """An array in C order that nobody can write to by mistake: the given one where it is in that order."""
    if not array.flags.c_contiguous:
        array = array.copy(order="C")
    array.flags.writeable = False
    return array


def unshared(array: NDArray[Any]) -> Any:
    """An array that is the caller's; a NumPy scalar, or bytes, where it has no dimension."""
    return array.copy() if array.ndim else array[()]


class OwnValue(ArrayArithmetic):
    """An array that is replaced, never written into: so whoever was given it keeps what it was then."""

    _own: NDArray[Any] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        raise NotImplementedError

    @property
    def own_value(self) -> NDArray[Any]:
        """Its own value without a copy, read only.

        Raises:
            InvalidArgumentError: it has none yet: it was imported, and nothing restored or assigned.
        """
        if self._own is None:
            raise InvalidArgumentError(
                f"variable {self.name!r} was imported and has no value of its own yet: restore or assign one "
                "outside of sessions, or read it in a session",
                tensor=self.name,
            )
        return self._own

    def numpy(self) -> Any:
        """A copy of its own value, which is not a session's: an array, or a NumPy scalar if it has no dimension.

        Raises:
            InvalidArgumentError: as `own_value`.
        """
        return unshared(self.own_value)

    def take_over(self, array: NDArray[Any]) -> None:
        """Make an array its own value without a copy, if it is in C order; nobody may write to it any more.

        Args:
            array: of the variable's dtype, and of a shape that it can have: the caller has seen to that.
        """
        self._own = sealed(array)

    def update(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """Replace its own value by what a function makes of it, with no other update in between.

        Raises:
            InvalidArgumentError: as `own_value`.
        """
        with _UPDATING:
            self.take_over(change(self.own_value))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._own is not None:  # NumPy's copies, and what it unpickles, can be written to
            self.take_over(self._own)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        own = self.own_value
        if dtype is None or np.dtype(dtype) == own.dtype:
            return own.copy() if copy else own
        if copy is False:
            raise ValueError(f"variable {self.name!r} can't be {np.dtype(dtype)} without a copy")
        return own.astype(dtype)
