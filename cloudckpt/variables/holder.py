"""What a checkpoint's tensor is read from, and assigned to: one face for every framework's variables and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cloudckpt.variables.foreign.jax import jax_holder, jax_like
from cloudckpt.variables.foreign.keras import keras_holder
from cloudckpt.variables.foreign.named import named_holder
from cloudckpt.variables.foreign.numpy import numpy_holder
from cloudckpt.variables.foreign.tensorflow import tensorflow_holder
from cloudckpt.variables.foreign.torch import torch_holder, torch_like
from cloudckpt.variables.variable_holder import variable_holder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType
    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

__all__ = ["Holder", "as_holder", "like"]


class Holder(Protocol):
    """One thing that holds a tensor, as savers see it."""

    @property
    def thing(self) -> Any:
        """What it stands for: two holders of one thing are one variable."""

    @property
    def name(self) -> str:
        """The operation's name, without ":0"; "" where the thing has none, so that only a dict can name it."""

    @property
    def data_type(self) -> DataType:
        """TensorFlow's dtype of its elements.

        Raises:
            TypeError: TensorFlow has none for them.
        """

    @property
    def shape(self) -> tuple[int, ...] | None:
        """None where it is not, or not fully, known."""

    @property
    def device(self) -> str:
        """As TensorFlow writes it, "/device:GPU:0"; "" where it does not matter, as for arrays of the host."""

    @property
    def save_slice_info(self) -> SaveSliceInfo | None:
        """The slice of a larger tensor that it is, if it is one."""

    @property
    def assignable(self) -> bool:
        """Whether `assign` can work."""

    @property
    def frozen(self) -> bool:
        """Whether what `read` returns never changes, also when the thing does: a view of memory that is replaced and
        not written to, or a copy made from a device's.
        """

    def read(self) -> NDArray[Any]:
        """Its own value in the host's memory, not copied where that can be helped: not to be written to.

        Raises:
            TypeError: it has no value that one process can read.
        """

    def assign(self, array: NDArray[Any]) -> None:
        """Set its own value to an array of its dtype and shape, which nobody may write to from then on.

        Raises:
            TypeError: it can't be assigned to; the message says what to do.
        """


_RECOGNISERS = (
    variable_holder,
    numpy_holder,
    torch_holder,
    keras_holder,
    tensorflow_holder,
    jax_holder,
    named_holder,
)


def as_holder(thing: Any) -> Holder | None:
    """The holder of a variable or array; None for what is neither.

    Args:
        thing: a `cloudckpt.Variable`; a variable of Keras 3, or one of TensorFlow or tf_keras made while executing
            eagerly; a tensor or parameter of torch; an array of NumPy; an array of JAX or a scalar of NumPy, which can
            be saved but not assigned to; or anything with `dtype`, `shape`, `numpy()` or `__array__`, and `assign`. A
            number, text or list of Python's is none of these.

    Raises:
        TypeError: it is a variable of a TensorFlow graph, whose value can't be known, or a tensor of torch that has no
            elements in one place: the message says what to do.
    """
    for recognise in _RECOGNISERS:
        if (holder := recognise(thing)) is not None:
            return holder
    return None


def like(existing: Any, array: NDArray[Any]) -> Any:
    """A restored array in the form of what it takes the place of, for instance in a mapping that is restored.

    Args:
        existing: an array of JAX: the new one is on the same devices, with the same sharding; a tensor of torch: the
            new one is on its device; a scalar of NumPy, or a number of Python's: one of the same type. Anything else:
            the array itself is the answer.
        array: of the same shape and dtype.
    """
    for make in (jax_like, torch_like):
        if (made := make(existing, array)) is not None:
            return made
    if isinstance(existing, np.generic):
        return array[()]
    if isinstance(existing, bool | int | float | complex):
        return type(existing)(array.item())
    return array
