"""Whatever looks like a variable, of frameworks that have no file here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.foreign.foreign_holder import ForeignHolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType

__all__ = ["NamedHolder", "named_holder"]


class NamedHolder(ForeignHolder):
    """A thing with a `dtype` and a `shape`, `numpy()` or `__array__`, `assign(array)`, and a `name` if it has one."""

    __slots__ = ()

    @property
    def name(self) -> str:
        name = getattr(self.thing, "name", None)
        return name.removesuffix(":0") if isinstance(name, str) else ""

    @property
    def data_type(self) -> DataType:
        return data_type_argument(self.thing.dtype, f"the dtype of a {type(self.thing).__name__}")

    @property
    def device(self) -> str:
        device = getattr(self.thing, "device", None)
        return device if isinstance(device, str) else ""

    def read(self) -> NDArray[Any]:
        thing = self.thing
        return np.asarray(thing.numpy() if hasattr(thing, "numpy") else thing)

    def assign(self, array: NDArray[Any]) -> None:
        self.thing.assign(array)


def named_holder(thing: Any) -> NamedHolder | None:
    """The holder of what has all that; None for anything else."""
    if isinstance(thing, type) or not all(hasattr(thing, attribute) for attribute in ("assign", "dtype", "shape")):
        return None
    return NamedHolder(thing) if hasattr(thing, "numpy") or hasattr(thing, "__array__") else None
