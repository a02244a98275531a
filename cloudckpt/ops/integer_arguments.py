"""Integer arguments as TensorFlow's ops take them: Python's and NumPy's, and scalar tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cloudckpt.errors import InvalidArgumentError

__all__ = ["integer_argument"]

_INT32_MAX = 2**31 - 1


def integer_argument(value: Any, argument: str, *, least: int = 0) -> int:
    """The number of an argument that counts files.

    Raises:
        InvalidArgumentError: it is no scalar, less than `least`, or no int32.
        TypeError: it is no integer.
    """
    if np.ndim(value) != 0:
        raise InvalidArgumentError(f"{argument} must be a scalar, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument} must be an integer, got {value!r}") from None
    if not least <= number <= _INT32_MAX:
        raise InvalidArgumentError(f"{argument} must be from {least} to {_INT32_MAX}, got {number}")
    return number
