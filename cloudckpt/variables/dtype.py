"""TensorFlow's dtypes as its Python shows them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudckpt.variables import dtypes
from cloudckpt.variables.dtypes import python_name, to_numpy

__all__ = ["DType"]


class DType:
    """One dtype, with the attributes of `tf.DType` that say what it is.

    Equal to whatever names the same one: another of these, TensorFlow's number or name ("float32"), NumPy's dtype or
    scalar type, and a `tf.DType`.
    """

    __slots__ = ("_data_type",)

    def __init__(self, data_type: int) -> None:
        self._data_type = dtypes.data_type(data_type)

    @property
    def as_datatype_enum(self) -> int:
        """The number in TensorFlow's types.proto: a `DataType` if it is one that this version knows."""
        return self._data_type

    @property
    def name(self) -> str:
        """TensorFlow's name, such as "float32"; "unknown_77" for a number that this version does not know."""
        return python_name(self._data_type)

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy's scalar type, such as `numpy.float32`; `object` for strings, a structured dtype for quantised ones.

        Raises:
            TypeError: no array can hold it: resources, variants, and numbers that this version does not know.
        """
        dtype = to_numpy(self._data_type)
        if dtype.hasobject:
            return object
        return dtype if dtype.names else dtype.type

    @property
    def base_dtype(self) -> DType:
        """Itself: that of a variable is not told apart from that of its value."""
        return self

    @property
    def size(self) -> int:
        """Bytes an element in memory.

        Raises:
            TypeError: as `as_numpy_dtype`.
        """
        return to_numpy(self._data_type).itemsize

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self._data_type == other._data_type
        if isinstance(other, int):
            return self._data_type == other
        if isinstance(other, str):
            return self.name == other
        if isinstance(other, np.dtype | type):
            return self._is_numpy(other)
        if isinstance(number := getattr(other, "as_datatype_enum", None), int):
            return self._data_type == number
        return NotImplemented

    def _is_numpy(self, other: np.dtype | type) -> bool:
        try:
            return bool(to_numpy(self._data_type) == other)
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self._data_type)

    def __repr__(self) -> str:
        return f"cloudckpt.{self.name}"
