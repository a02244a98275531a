"""JAX's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.foreign.foreign_holder import ForeignHolder
from cloudckpt.variables.foreign.imported import imported, is_instance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["JaxHolder", "jax_holder", "jax_like"]


class JaxHolder(ForeignHolder):
    """An array, which nobody can change: it can be saved, and restored only where a mapping takes a new one."""

    __slots__ = ()

    @property
    def data_type(self) -> DataType:
        dtype = self.thing.dtype
        if not isinstance(dtype, np.dtype):
            raise TypeError(f"{dtype} has no counterpart in TensorFlow; save the jax.random.key_data(…) of random keys")
        return from_numpy(dtype)

    @property
    def device(self) -> str:
        devices = list(self.thing.devices())
        if len(devices) > 1 or devices[0].platform == "cpu":
            return ""
        return f"/device:{devices[0].platform.upper()}:{devices[0].id}"

    @property
    def assignable(self) -> bool:
        return False

    def read(self) -> NDArray[Any]:
        """Its elements in the host's memory, not copied on a CPU.

        Raises:
            TypeError: other processes hold a part of them.
        """
        if not self.thing.is_fully_addressable:
            raise TypeError("a part of this array is in other processes: gather it on this one to save it")
        return np.asarray(self.thing)

    def assign(self, array: NDArray[Any]) -> None:
        raise TypeError(
            "a JAX array can't be changed: keep the arrays in a dict and pass it in the place of a session, as in "
            "saver.restore(arrays, path), which puts new ones into it"
        )


def jax_holder(thing: Any) -> JaxHolder | None:
    """The holder of an array of JAX; None for anything else, such as the tracer of a function being compiled."""
    if not is_instance(thing, "jax", "Array") or is_instance(thing, "jax.core", "Tracer"):
        return None
    return JaxHolder(thing)


def jax_like(existing: Any, array: NDArray[Any]) -> Any:
    """A new array on the devices, and so sharded, as an existing one; None where that is no array of JAX's."""
    if jax_holder(existing) is None:
        return None
    return imported("jax").device_put(array, existing.sharding)
