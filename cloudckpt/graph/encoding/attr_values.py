"""Attributes of nodes: AttrValue to and from Python values.

======================  ==================================================
in an AttrValue         in Python
======================  ==================================================
type                    `DataType`
shape                   a tuple of sizes and None, or `UNKNOWN_RANK`
tensor                  an array of NumPy's
s                       bytes; str is taken, too
b, i, f                 bool, int, float
list                    a list of one of these
func, placeholder       the message itself; only read, never made
======================  ==================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.graph.encoding.tensor_proto import decode_tensor, set_tensor
from cloudckpt.graph.encoding.tensor_shape import decode_shape, encode_shape
from cloudckpt.variables.dtypes import DataType, data_type
from cloudckpt.variables.graphs.operation import UnknownRank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["decode_attr", "set_attr"]


def set_attr(message: Any, value: object) -> None:
    """Set an AttrValue, which is empty so far.

    An empty list is one of every kind.

    Raises:
        TypeError: the value is none of those above, or a list of several kinds.
    """
    if isinstance(value, list):
        _set_list(message.list, value)
    elif (field := _field_of(value)) in _SETTERS:
        _SETTERS[field](getattr(message, field), value)
    else:
        setattr(message, field, _plain(value))


def decode_attr(message: Any) -> Any:
    """The Python value of an AttrValue; None of one that says nothing, and of a function or placeholder the message.

    A dtype whose number has no name here stays a number.

    Raises:
        InvalidArgumentError: its shape or tensor can't be one.
    """
    field = message.WhichOneof("value")
    if field is None:
        return None
    if field == "list":
        # A list has one field that is not empty.
        return [_decode(each.name, element) for each, values in message.list.ListFields() for element in values]
    return message if field in {"func", "placeholder"} else _decode(field, getattr(message, field))


_DECODERS: dict[str, Callable[[Any], Any]] = {"type": data_type, "shape": decode_shape, "tensor": decode_tensor}


def _decode(field: str, value: Any) -> Any:
    decode = _DECODERS.get(field)
    return value if decode is None else decode(value)


_SETTERS: dict[str, Callable[[Any, Any], None]] = {"shape": encode_shape, "tensor": set_tensor}
"""Fields that are messages."""

_FIELDS: dict[type, str] = {
    DataType: "type",
    bool: "b",
    int: "i",
    float: "f",
    str: "s",
    bytes: "s",
    tuple: "shape",
    UnknownRank: "shape",
    np.ndarray: "tensor",
}


def _field_of(value: object) -> str:
    try:
        return _FIELDS[type(value)]
    except KeyError:
        raise TypeError(
            f"{value!r} is a {type(value).__name__}, which no attribute of a node can be: expected a DataType, a shape "
            "as a tuple, an array, a str, bytes, a bool, an int, a float or a list of one of these"
        ) from None


def _plain(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


def _set_list(message: Any, values: Sequence[object]) -> None:
    # An empty list is there all the same.
    message.SetInParent()
    fields = {_field_of(value) for value in values}
    if len(fields) > 1:
        raise TypeError(f"{values!r} is a list of several kinds of values; an attribute's are all of one")
    for field in fields:
        elements = getattr(message, field)
        if field in _SETTERS:
            for value in values:
                _SETTERS[field](elements.add(), value)
        else:
            elements.extend(map(_plain, values))
