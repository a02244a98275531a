"""The leaves of a tree: which Python values become which tensors, and how they come back.

A leaf's tag is what the structure says of it. The tags are part of the file format (`docs/reference/tree-format.md`):

========================  ==========================================  =====================================
tag                       value                                       tensor
========================  ==========================================  =====================================
`bool` `int` `float`      a Python scalar                             bool, int64, float64, complex128
`complex`
`bigint`                  an int beyond int64                         string: its decimal digits
`str` `bytes`             a Python string                             string (UTF-8)
`array` `scalar`          a NumPy array or scalar of such a dtype     of its own dtype
`array:U5` `scalar:S3`    a NumPy array or scalar of fixed strings    string
`array:str` `array:bytes` an object array all of str or all of bytes  string
========================  ==========================================  =====================================
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.checkpoint.opened import AS_BYTES, FIXED_SIZE, StringForm
from cloudckpt.variables import dtypes
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "MAX_DIGITS",
    "PLAIN_TYPES",
    "claimed_bytes",
    "decode_leaf",
    "encode_leaf",
    "is_python_scalar_of",
    "is_tag",
    "string_form",
    "tensor_dtype",
    "unsized_form",
]

INT64 = range(-(1 << 63), 1 << 63)
MAX_GROWTH = 64
"""How many times what is stored an array of fixed-width strings may take whose width is not to be trusted."""
MAX_DIGITS = 4300
"""Python's own limit for text of an int, which a reader could not parse beyond."""

SCALARS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bool": (bool, "b"),
    "int": (int, "iu"),
    "float": (float, "f"),
    "complex": (complex, "c"),
}
"""Python's scalars: how to make one of a tensor's element, and the NumPy kinds that it may come from."""

SMALL_INTS = {DataType.INT4, DataType.UINT4, DataType.INT2, DataType.UINT2}

MAX_CELL = 2**31 - 1
"""Bytes of one element that NumPy's dtypes can say."""
PLAIN_TAGS = frozenset([*SCALARS, "bigint", "str", "bytes", "array", "scalar", "array:str", "array:bytes"])
PLAIN_TYPES = frozenset([np.ndarray, np.memmap, bool, int, float, complex, str, bytes])
"""Those whose instances are leaves, whatever is in them; so are NumPy's scalars."""
FIXED_STRING = re.compile(r"(array|scalar):([US])(0|[1-9]\d{0,9})")


def encode_leaf(value: object) -> tuple[str, NDArray[Any]]:
    """The tag and the tensor of one leaf; an array is passed on, not copied.

    Raises:
        TypeError: it is nothing that a tensor can hold. The caller knows the path.
        ValueError: it is of a type that can be held, but not this value.
    """
    kind = type(value)
    if kind is np.ndarray or kind is np.memmap:
        return _encode_array(np.asarray(value))
    if isinstance(value, np.generic):
        return _encode_numpy_scalar(value)
    if kind is bool or kind is float or kind is complex:
        return kind.__name__, np.array(value)
    if kind is int:
        return _encode_int(value)  # type: ignore[arg-type]  # mypy does not narrow by `kind`
    if kind is str or kind is bytes:
        return kind.__name__, _object_scalar(value)
    raise TypeError(f"it is {kind.__module__}.{kind.__qualname__}")


def _encode_int(value: int) -> tuple[str, NDArray[Any]]:
    if value in INT64:
        return "int", np.array(value, np.int64)
    if abs(value) >= 10**MAX_DIGITS:
        raise ValueError(f"an int of more than {MAX_DIGITS} decimal digits can't be read back")
    return "bigint", _object_scalar(str(value).encode())


def _object_scalar(value: object) -> NDArray[Any]:
    array = np.empty((), object)
    array[()] = value
    return array


def _encode_numpy_scalar(value: np.generic) -> tuple[str, NDArray[Any]]:
    if type(value) is np.str_ or type(value) is np.bytes_:
        # Kept as an object: an array of fixed width would lose null characters at the end.
        return f"scalar:{value.dtype.str[1:]}", _object_scalar(value[:])
    array = np.asarray(value)
    if type(value) is not array.dtype.type:
        raise TypeError(f"it is {type(value).__module__}.{type(value).__qualname__}")
    dtypes.from_numpy(array.dtype)
    return "scalar", array


def _encode_array(array: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    kind = array.dtype.kind
    if kind == "O":
        return f"array:{_element_type(array)}", array
    if kind in "US":
        if not array.dtype.isnative:
            raise TypeError(f"it is an array of dtype {array.dtype.str}, which is not in this machine's byte order")
        return f"array:{kind}{array.dtype.itemsize // (4 if kind == 'U' else 1)}", array
    dtypes.from_numpy(array.dtype)
    return "array", array


def _element_type(array: NDArray[Any]) -> str:
    """What an object array is all of; an empty one is of str."""
    types = set(map(type, array.flat)) or {str}
    if types in ({str}, {bytes}):
        return types.pop().__name__
    names = ", ".join(sorted(found.__name__ for found in types))
    raise TypeError(f"it is an object array of {names} (all of str or all of bytes could be saved)")


def is_tag(tag: str) -> bool:
    """Whether a structure may say this of a leaf."""
    return tag in PLAIN_TAGS or ((match := FIXED_STRING.fullmatch(tag)) is not None and _cell_bytes(match) <= MAX_CELL)


def tensor_dtype(array: NDArray[Any]) -> DataType:
    """The dtype of the tensor that holds an array of `encode_leaf`'s."""
    return dtypes.data_type_of(array)


def is_python_scalar_of(tag: str, data_type: int) -> bool:
    """Whether a tag is of a Python scalar that `decode_leaf` makes of a tensor of this dtype."""
    if tag not in SCALARS:
        return False
    return data_type in FIXED_SIZE and _kind(FIXED_SIZE[data_type]) in SCALARS[tag][1]


def string_form(tag: str) -> StringForm:
    """What array to read a string tensor of that tag as: the very one, where the leaf is an array."""
    if tag in {"str", "array:str"}:
        return AS_TEXTS
    if tag in PLAIN_TAGS or (match := FIXED_STRING.fullmatch(tag)) is None:
        return AS_BYTES
    form, kind, width = match.groups()
    if form == "scalar":
        return AS_TEXTS if kind == "U" else AS_BYTES
    return StringForm(np.dtype(f"{kind}{width}"), partial(_fixed, kind, int(width)))


def unsized_form(tag: str) -> StringForm:
    """As `string_form`, for a tag whose width is not to be trusted: an object array, which `decode_leaf` takes too."""
    if tag.startswith("array:U"):
        return AS_TEXTS
    return AS_BYTES if tag.startswith("array:S") else string_form(tag)


def claimed_bytes(tag: str) -> int:
    """The bytes of one element, where the tag and not the tensor says how many it has; else 0."""
    if tag in PLAIN_TAGS or (match := FIXED_STRING.fullmatch(tag)) is None:
        return 0
    return _cell_bytes(match) if match[1] == "array" else 0


def _cell_bytes(match: re.Match[str]) -> int:
    return int(match[3]) * (4 if match[2] == "U" else 1)


def decode_leaf(tag: str, array: NDArray[Any]) -> object:
    """The value that was saved under a tag, from its tensor, which was read in the tag's form.

    Raises:
        ValueError: the tensor is not of the kind that the tag needs.
    """
    if tag == "array":  # nearly all
        return array
    form, _, detail = tag.partition(":")
    if form == "array":
        return _array(array, detail)
    if array.shape:
        raise ValueError(f"a tensor of shape {array.shape} can't be a single {form}")
    if tag == "scalar":
        return array[()]
    if tag in SCALARS:
        make, kinds = SCALARS[tag]
        if _kind(array.dtype) not in kinds:
            raise ValueError(f"a tensor of {array.dtype} can't be a Python {tag}")
        return make(array[()])
    value: Any = _of_strings(array)[()]
    if detail:
        return np.str_(value) if detail[0] == "U" else np.bytes_(value)
    return int(value) if tag == "bigint" else value


def _array(array: NDArray[Any], detail: str) -> NDArray[Any]:
    if not detail or array.dtype.kind == detail[0]:
        return array
    elements = _of_strings(array)
    if detail in {"str", "bytes"}:
        return elements
    longest, total = max(map(len, elements.flat), default=0), sum(map(len, elements.flat))
    if longest * elements.size > MAX_GROWTH * (total + elements.size):
        return elements
    return elements.astype(f"{detail[0]}{longest}")


def _kind(dtype: np.dtype) -> str:
    """NumPy's letter for a kind of dtype, of those that NumPy itself calls void too."""
    if dtype.kind != "V" or dtype.names is not None:
        return dtype.kind
    return "i" if dtypes.from_numpy(dtype) in SMALL_INTS else "f"


def _of_strings(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "O":
        raise ValueError(f"a tensor of {array.dtype} can't hold strings")
    return array


def _texts(elements: Sequence[bytes]) -> list[str]:
    return [element.decode() for element in elements]


AS_TEXTS = StringForm(convert=_texts)


def _fixed(kind: str, width: int, elements: Sequence[bytes]) -> Sequence[str | bytes]:
    """The elements, once it is sure that NumPy will cut none of them."""
    fitted = _texts(elements) if kind == "U" else elements
    longest = max(map(len, fitted), default=0)
    if longest > width:
        raise ValueError(f"an element of {longest} does not fit dtype {kind}{width}")
    return fitted
