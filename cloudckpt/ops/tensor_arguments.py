"""Tensor arguments as TensorFlow's ops take them: arrays, tensors, and what Python has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.variables.conversion import as_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["tensor_list"]


def tensor_list(value: Any, names: Sequence[str], argument: str) -> list[NDArray[Any]]:
    """The arrays of an argument that is a list of tensors, or an array whose rows they are.

    Args:
        value: each tensor a NumPy array or scalar, anything with `__array__`, or what Python has: numbers become
            float32, int32 (int64 where one needs it), bool or complex128 as TensorFlow makes of them. No array is
            copied, except where it is not in this machine's byte order.
        names: of the tensors, for messages.
        argument: what the caller knows it as.

    Raises:
        TypeError: it is no list, or something in it is no tensor.
    """
    if not isinstance(value, list | tuple) and np.ndim(value) == 0:
        raise TypeError(f"{argument} must be a list of tensors, got {type(value).__name__}")
    arrays = []
    for position, item in enumerate(value):
        name = names[position] if position < len(names) else f"{argument}[{position}]"
        try:
            arrays.append(as_array(item))
        except (TypeError, ValueError) as error:
            raise TypeError(f"tensor {name!r} can't be saved: {error}") from error
    return arrays
