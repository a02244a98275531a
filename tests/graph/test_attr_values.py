"""Attributes of nodes as Python values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.graph.encoding.attr_values import decode_attr, set_attr
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK

# The value, the field of the AttrValue, and what comes back where that is another one.
VALUES: dict[str, tuple[Any, str]] = {
    "a dtype": (DataType.BFLOAT16, "type"),
    "a shape": ((2, None), "shape"),
    "a scalar's shape": ((), "shape"),
    "an unknown shape": (UNKNOWN_RANK, "shape"),
    "bytes": (b"\xff", "s"),
    "no bytes": (b"", "s"),
    "true": (True, "b"),
    "false": (False, "b"),
    "an integer": (-(2**63), "i"),
    "zero": (0, "i"),
    "a float": (0.5, "f"),
    "no elements": ([], "list"),
    "dtypes": ([DataType.FLOAT, DataType.STRING], "list"),
    "shapes": ([(), (3,), UNKNOWN_RANK], "list"),
    "strings": ([b"loc:@w", b""], "list"),
    "booleans": ([True, False], "list"),
    "integers": ([0, 1], "list"),
    "floats": ([0.0, 1.5], "list"),
}


def attr_of(value: object) -> Any:
    message = message_class("tensorflow.AttrValue")()
    set_attr(message, value)
    return message


@pytest.mark.parametrize("name", VALUES)
def test_every_kind_of_value_comes_back(name: str) -> None:
    value, field = VALUES[name]
    message = attr_of(value)
    assert message.WhichOneof("value") == field
    again = decode_attr(message)
    assert again == value
    assert type(again) is type(value)


def test_text_becomes_bytes() -> None:
    assert decode_attr(attr_of("é")) == "é".encode()
    assert decode_attr(attr_of(["loc:@w"])) == [b"loc:@w"]


def test_a_tensor_and_a_list_of_them_come_back() -> None:
    array = np.array([[1, 2]], np.int16)
    assert np.array_equal(decode_attr(attr_of(array)), array)
    assert [each.tolist() for each in decode_attr(attr_of([array, array[0]]))] == [[[1, 2]], [1, 2]]


def test_nothing_is_none() -> None:
    assert decode_attr(message_class("tensorflow.AttrValue")()) is None


def test_functions_and_placeholders_are_the_message() -> None:
    message = message_class("tensorflow.AttrValue")()
    message.func.name = "f"
    assert decode_attr(message).func.name == "f"
    message.placeholder = "T"
    assert decode_attr(message).placeholder == "T"


def test_a_dtype_that_has_no_name_here_stays_a_number() -> None:
    message = message_class("tensorflow.AttrValue")(type=101)
    assert decode_attr(message) == 101


@pytest.mark.parametrize("value", [None, 1j, {"a": 1}, [None], [[1]], np.int32(1)], ids=repr)
def test_what_no_attribute_can_be_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="no attribute of a node can be"):
        attr_of(value)


def test_a_list_of_several_kinds_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="several kinds"):
        attr_of([1, "a"])
