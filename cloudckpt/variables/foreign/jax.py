"""JAX's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.foreign.foreign_holder import ForeignHolder
from cloudckpt.variables.foreign.imported import imported, is_instance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["JaxHolder", "is_jax_struct", "jax_holder", "jax_like", "key_parts", "wrap_key"]


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

    @property
    def frozen(self) -> bool:
        return True

    def read(self) -> NDArray[Any]:
        """Its elements in the host's memory, not copied on a CPU: a view that outlives donation and deletion.

        While it exists, a function that the array is donated to takes other memory for its result.

        Raises:
            TypeError: other processes hold a part of them.
            ValueError: nobody has them any more.
        """
        if self.thing.is_deleted():
            raise ValueError("this array was deleted, or donated to a function: what that has returned takes its place")
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


def is_jax_struct(thing: Any) -> bool:
    """Whether a thing is a `jax.ShapeDtypeStruct`: what an array is to be, without its elements."""
    return is_instance(thing, "jax", "ShapeDtypeStruct")


def jax_like(existing: Any, array: NDArray[Any]) -> Any:
    """A new array on the devices, and so sharded, as an existing one; None where that is no array of JAX's.

    The existing one may be a `jax.ShapeDtypeStruct`, where its sharding is None on the default device. So is the new
    one of an array that is not committed to its device. Of a weak type it is where the existing one is.

    Raises:
        TypeError: a part of it is for other processes, or JAX would cut its elements to 32 bits.
    """
    if jax_holder(existing) is None and not is_jax_struct(existing):
        return None
    sharding = _sharding_of(existing)
    if not getattr(sharding, "is_fully_addressable", True):
        raise TypeError("a part of this array is for other processes: restore a whole one, and shard it then")
    elements = _weakly_typed(array) if getattr(existing, "weak_type", False) else array
    made = imported("jax").device_put(elements, sharding)
    if made.dtype != array.dtype:
        raise TypeError(f"JAX makes {made.dtype} of {array.dtype} unless jax_enable_x64 is set")
    return made


def _sharding_of(existing: Any) -> Any:
    """Where an array is, or a struct is to be; None for the default device, to which nothing has bound it."""
    return existing.sharding if getattr(existing, "committed", True) else None


def _weakly_typed(array: NDArray[Any]) -> Any:
    """The elements as JAX's of a weak type, which gives way to the dtypes of others, if it has one of this dtype."""
    numpy = imported("jax").numpy
    zero = numpy.asarray(array.dtype.type().item())  # as JAX takes a number of Python's
    return numpy.broadcast_to(zero, array.shape).at[...].set(array) if zero.dtype == array.dtype else array


def key_parts(thing: Any) -> tuple[str, Any] | None:
    """The implementation's name and the data of typed random keys, or of a struct of some; None for anything else.

    The data are an array of uint32 with a dimension more; a struct of one where the keys are one, or were deleted.

    Raises:
        TypeError: their implementation has no name that JAX knows.
    """
    if not is_instance(thing, "jax", "Array") and not is_jax_struct(thing):
        return None
    jax = imported("jax")
    if isinstance(thing.dtype, np.dtype) or not jax.dtypes.issubdtype(thing.dtype, jax.dtypes.prng_key):
        return None
    is_abstract = is_jax_struct(thing) or thing.is_deleted()
    found = []

    def data_of(keys: Any) -> Any:
        found.append(jax.random.key_impl(keys))
        return jax.random.key_data(keys)

    data = jax.eval_shape(data_of, thing) if is_abstract else data_of(thing)
    if not isinstance(found[0], str):
        raise TypeError(f"these random keys are of {found[0]}, which is not registered with JAX under a name")
    if is_abstract:
        data = jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=_sharding_of(thing))
    return found[0], data


def wrap_key(implementation: str, data: Any) -> Any:
    """Typed random keys of what `key_parts` returned."""
    return imported("jax").random.wrap_key_data(data, impl=implementation)
