"""Initial values of variables, by TensorFlow 1's names for them.

Source: python/ops/init_ops.py.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.dtypes import DataType, to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo

__all__ = ["Initializer", "InitializerOfDType", "constant_initializer", "ones_initializer", "zeros_initializer"]


class Initializer(Protocol):
    """What `get_variable` takes as `initializer`, beside arrays."""

    def __call__(self, shape: Sequence[int], dtype: Any = None, partition_info: SaveSliceInfo | None = None) -> Any:
        """The initial value of a variable, or of a part of one, which `partition_info` then tells."""


class InitializerOfDType:
    """An initializer that remembers a dtype, for when it is called without one."""

    def __init__(self, dtype: Any) -> None:
        self._default = data_type_argument(dtype, "dtype")

    def _data_type(self, dtype: Any) -> DataType:
        return self._default if dtype is None else data_type_argument(dtype, "dtype")


class zeros_initializer(InitializerOfDType):  # noqa: N801 - TensorFlow's name
    """Zeros; False, or empty texts, where the dtype is of such."""

    def __init__(self, dtype: Any = DataType.FLOAT) -> None:
        super().__init__(dtype)

    def __call__(
        self,
        shape: Sequence[int],
        dtype: Any = None,
        partition_info: SaveSliceInfo | None = None,  # noqa: ARG002 - as Initializer
    ) -> NDArray[Any]:
        """An array of them."""
        data_type = self._data_type(dtype)
        if data_type is DataType.STRING:
            return np.full(shape, b"", object)
        return np.zeros(shape, to_numpy(data_type))


class ones_initializer(InitializerOfDType):  # noqa: N801 - TensorFlow's name
    """Ones."""

    def __init__(self, dtype: Any = DataType.FLOAT) -> None:
        super().__init__(dtype)

    def __call__(
        self,
        shape: Sequence[int],
        dtype: Any = None,
        partition_info: SaveSliceInfo | None = None,  # noqa: ARG002 - as Initializer
    ) -> NDArray[Any]:
        """An array of them."""
        return np.ones(shape, to_numpy(self._data_type(dtype)))


class constant_initializer(InitializerOfDType):  # noqa: N801 - TensorFlow's name
    """The same value, or the elements of a value, of which the last is repeated where there are too few.

    Args:
        value: a number or text, or an array or list of them.
        dtype: for when it is called without one.
        verify_shape: refuse a value of another shape.
    """

    def __init__(self, value: ArrayLike = 0, dtype: Any = DataType.FLOAT, verify_shape: bool = False) -> None:
        super().__init__(dtype)
        self._value = value
        self._verify_shape = verify_shape

    def __call__(
        self,
        shape: Sequence[int],
        dtype: Any = None,
        partition_info: SaveSliceInfo | None = None,  # noqa: ARG002 - as Initializer
    ) -> NDArray[Any]:
        """An array of them.

        Raises:
            ValueError: there are more elements than the shape has.
            TypeError: `verify_shape`, and the value is of another shape.
        """
        value = np.asarray(self._value).astype(to_numpy(self._data_type(dtype)))
        if self._verify_shape and value.shape != tuple(shape):
            raise TypeError(f"the value is of shape {value.shape}, not of {tuple(shape)}")
        if not 0 < value.size <= prod(shape):
            raise ValueError(f"{value.size} elements can't fill an array of shape {tuple(shape)}")
        filled = np.full(shape, value.ravel()[-1], value.dtype)
        filled.ravel()[: value.size] = value.ravel()
        return filled
