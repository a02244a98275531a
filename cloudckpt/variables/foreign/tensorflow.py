"""TensorFlow's variables, executing eagerly; those of tf_keras are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.dtypes import DataType, to_numpy
from cloudckpt.variables.foreign.foreign_holder import ForeignHolder
from cloudckpt.variables.foreign.imported import is_instance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TensorFlowHolder", "tensor_elements", "tensorflow_holder"]


class TensorFlowHolder(ForeignHolder):
    """A variable that holds its value by itself; its name is the one under which TensorFlow's Saver saves it."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return str(self.thing.name).removesuffix(":0")

    @property
    def data_type(self) -> DataType:
        return DataType(self.thing.dtype.base_dtype.as_datatype_enum)

    @property
    def device(self) -> str:
        return str(self.thing.device or "")

    def read(self) -> NDArray[Any]:
        """Its value, in TensorFlow's own memory where NumPy can look at it there; later changes don't show in it."""
        return tensor_elements(self.thing.read_value())

    def assign(self, array: NDArray[Any]) -> None:
        self.thing.assign(array[array.dtype.names[0]] if array.dtype.names else array)


def tensor_elements(tensor: Any) -> NDArray[Any]:
    """An eager tensor, or variable, as an array of its dtype, in its memory where NumPy can look at it there."""
    dtype = to_numpy(DataType(tensor.dtype.as_datatype_enum))
    if np.shape(tensor) == ():  # of one of bfloat16 and the like `__array__` makes no array
        return np.array(tensor.numpy(), dtype)
    # NumPy sees quantised elements as the integers that they are kept in.
    array = np.asarray(tensor)
    return array.view(dtype) if dtype.names else array


def tensorflow_holder(thing: Any) -> TensorFlowHolder | None:
    """The holder of an eager `tf.Variable`; None for anything else.

    Raises:
        TypeError: it is a variable of a graph, whose values are in TensorFlow's sessions.
    """
    if not is_instance(thing, "tensorflow", "Variable"):
        return None
    if hasattr(thing, "op"):
        raise TypeError(
            f"{thing.name} is a variable of a TensorFlow graph, whose value only TensorFlow's sessions know: "
            "save it with TensorFlow's Saver, or make it while executing eagerly"
        )
    return TensorFlowHolder(thing)
