"""Shapes to and from TensorShapeProto."""

from __future__ import annotations

import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.encoding.tensor_shape import decode_shape, encode_shape
from cloudckpt.variables.graphs.operation import UNKNOWN_RANK

SHAPES = {
    "scalar": ((), ""),
    "known": ((2, 3), "1202080212020803"),
    "empty": ((0,), "1200"),
    "partly known": ((None, 3), "120b08ffffffffffffffffff0112020803"),
    "unknown": (UNKNOWN_RANK, "1801"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_written_as_tensorflow_writes_it_and_read_again(name: str) -> None:
    shape, written = SHAPES[name]
    message = message_class("tensorflow.TensorShapeProto")()
    encode_shape(message, shape)
    assert message.SerializeToString().hex() == written
    assert decode_shape(message) == shape


def test_the_shape_of_a_scalar_is_there() -> None:
    attr = message_class("tensorflow.AttrValue")()
    encode_shape(attr.shape, ())
    assert attr.WhichOneof("value") == "shape"


def test_a_negative_dimension_is_refused() -> None:
    message = message_class("tensorflow.TensorShapeProto")()
    message.dim.add(size=-2)
    with pytest.raises(InvalidArgumentError, match="size -2"):
        decode_shape(message)


def test_more_dimensions_than_a_tensor_has_are_refused() -> None:
    message = message_class("tensorflow.TensorShapeProto")()
    for _ in range(255):
        message.dim.add(size=1)
    with pytest.raises(InvalidArgumentError, match="255 dimensions"):
        decode_shape(message)
