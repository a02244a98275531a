"""String arguments as TensorFlow's ops take them: a text, bytes, or lists, arrays and tensors of these."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.tensor_names import decode_name
from cloudckpt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["path_argument", "path_vector", "scalar_path", "string_elements", "string_scalar", "string_vector"]

STRING_KINDS = "OSTU"


def string_scalar(value: object, argument: str) -> str:
    """The one string of an argument; TensorFlow takes it in an array of any rank too.

    Raises:
        InvalidArgumentError: it has several elements, or none.
        TypeError: it is no string.
    """
    elements = string_elements(value, argument)
    if len(elements) != 1:
        raise InvalidArgumentError(f"{argument} must be one string, got {len(elements)}")
    return elements[0]


def string_vector(value: object, argument: str) -> list[str]:
    """The strings of an argument that must have exactly one dimension.

    Raises:
        InvalidArgumentError: it has another number of dimensions.
        TypeError: it holds something else than strings.
    """
    array = _array(value, argument)
    if array.ndim != 1:
        raise InvalidArgumentError(f"{argument} must be a list or array of one dimension, got shape {array.shape}")
    return _decoded(array, argument)


def string_elements(value: object, argument: str) -> list[str]:
    """The strings of an argument of any shape, in C order.

    Raises:
        TypeError: it holds something else than strings.
    """
    return _decoded(_array(value, argument), argument)


def path_argument(value: object, argument: str) -> str:
    """As `string_scalar`, and paths."""
    return string_scalar(_without_paths(value), argument)


def scalar_path(value: object, argument: str) -> str:
    """As `path_argument`, of what must have no dimension: an array of one element won't do."""
    if not isinstance(value, os.PathLike) and np.ndim(value) != 0:  # type: ignore[arg-type]  # whatever a caller gives
        raise InvalidArgumentError(f"{argument} must be a scalar, got {value!r}")
    return path_argument(value, argument)


def path_vector(value: object, argument: str) -> list[str]:
    """As `string_vector`, and lists of paths."""
    return string_vector(
        [_without_paths(item) for item in value] if isinstance(value, list | tuple) else value, argument
    )


def _without_paths(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _array(value: object, argument: str) -> NDArray[Any]:
    if isinstance(value, str | bytes):
        array = np.empty((), object)
        array[()] = value  # np.asarray would drop null characters at its end
    elif isinstance(value, list | tuple):
        array = np.array(value, object)
    else:
        array = np.asarray(value)
    if array.size and array.dtype.kind not in STRING_KINDS:
        raise TypeError(f"{argument} must be str or bytes, or a list or array of these, got {value!r}")
    return array


def _decoded(array: NDArray[Any], argument: str) -> list[str]:
    return [_text(element, argument) for element in array.ravel().tolist()]


def _text(element: object, argument: str) -> str:
    """Bytes as a name or path that stands for exactly them, also where they are not valid UTF-8."""
    if isinstance(element, bytes):
        return decode_name(element)
    if isinstance(element, str):
        return str(element)
    raise TypeError(f"{argument} must hold str or bytes, got {element!r}")
