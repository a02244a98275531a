"""Keras 3's variables, over whatever backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.variables.foreign.foreign_holder import ForeignHolder
from cloudckpt.variables.foreign.imported import is_instance
from cloudckpt.variables.foreign.jax import jax_holder
from cloudckpt.variables.foreign.named import named_holder
from cloudckpt.variables.foreign.numpy import numpy_holder
from cloudckpt.variables.foreign.tensorflow import tensorflow_holder
from cloudckpt.variables.foreign.torch import torch_holder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudckpt.variables.dtypes import DataType
    from cloudckpt.variables.holder import Holder

__all__ = ["KerasHolder", "keras_holder"]

_BACKENDS = (tensorflow_holder, torch_holder, jax_holder, numpy_holder, named_holder)


class KerasHolder(ForeignHolder):
    """A variable, by its `path`, such as "sequential/dense/kernel": under TensorFlow, its `tf.Variable` has that name.

    TensorFlow's own Saver saves that `tf.Variable`, `variable.value`, under the same name; given the variables
    themselves, it saves each as "VARIABLE_VALUE", so that only one survives.
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        return str(self.thing.path)

    @property
    def data_type(self) -> DataType:
        # That of the value: JAX, with 32 bits, keeps a variable of int64 in an array of int32.
        return self._value().data_type

    @property
    def device(self) -> str:
        return self._value().device

    @property
    def frozen(self) -> bool:
        return self._value().frozen

    def read(self) -> NDArray[Any]:
        return self._value().read()

    def assign(self, array: NDArray[Any]) -> None:
        value = self._value()
        if value.assignable:
            value.assign(array)
        else:
            self.thing.assign(array)

    def _value(self) -> Holder:
        value = self.thing.value
        for recognise in _BACKENDS:
            if (holder := recognise(value)) is not None:
                return holder
        raise TypeError(f"Keras variable {self.name!r} has no value that can be saved, but a {type(value).__name__}")


def keras_holder(thing: Any) -> KerasHolder | None:
    """The holder of a variable of Keras 3; None for anything else."""
    return KerasHolder(thing) if is_instance(thing, "keras", "Variable") else None
