"""NumPy's arrays, which a restore fills in place, and its scalars, which can only be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.dtypes import DataType, data_type_of
from cloudckpt.variables.foreign.foreign_holder import ForeignHolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NumpyHolder", "numpy_holder"]


class NumpyHolder(ForeignHolder):
    """An array; only a dict can name it. One of texts of a fixed width can be saved, one of objects restored too."""

    __slots__ = ()

    @property
    def data_type(self) -> DataType:
        return data_type_of(self.read())

    @property
    def assignable(self) -> bool:
        return isinstance(self.thing, np.ndarray) and self.thing.flags.writeable and self.thing.dtype.kind not in "SU"

    def read(self) -> NDArray[Any]:
        """The array itself."""
        return np.asarray(self.thing)

    def assign(self, array: NDArray[Any]) -> None:
        if not self.assignable:
            raise TypeError(f"{_why_not(self.thing)} can't be restored in place: restore into an array that can be")
        self.thing[...] = array


def numpy_holder(thing: Any) -> NumpyHolder | None:
    """The holder of an array or scalar of NumPy; None for anything else, Python's numbers too."""
    return NumpyHolder(thing) if isinstance(thing, np.ndarray | np.generic) else None


def _why_not(thing: Any) -> str:
    if not isinstance(thing, np.ndarray):
        return f"a NumPy scalar, such as this {thing.dtype},"
    if not thing.flags.writeable:
        return "a read-only NumPy array"
    return f"a NumPy array of texts of a fixed width ({thing.dtype}; dtype=object has room for every text)"
