"""The header of V1 files: as it was written, and headers that can't be true."""

from __future__ import annotations

from typing import Any

import pytest

from cloudckpt.bundle.v1_header import V1Tensor, decode_header, encode_header
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError
from cloudckpt.variables.dtypes import DataType

FULL = ((0, None), (0, None))
MATRIX = V1Tensor(DataType.FLOAT, (4, 3), (FULL,))
PARTS = V1Tensor(DataType.INT8, (4, 3), (((0, 2), (0, None)), ((2, 2), (0, None))))


def header(**changes: Any) -> Any:
    """The message of a header with one tensor."""
    message = message_class("cloudckpt.v1.SavedTensorSlices")()
    tensor = message.meta.tensor.add(name=b"t", type=changes.get("type", 1))
    for size in changes.get("shape", (4,)):
        tensor.shape.dim.add().size = size
    tensor.shape.unknown_rank = changes.get("unknown_rank", False)
    for start, length in changes.get("slices", [(None, None)]):
        extent = tensor.slice.add().extent.add()
        if length is not None:
            extent.start, extent.length = start, length
    return message


def damage(data: bytes) -> str:
    with pytest.raises(CheckpointDamagedError) as caught:
        decode_header(data, "bucket/model")
    assert "bucket/model" in str(caught.value)
    return str(caught.value)


def test_a_header_comes_back() -> None:
    tensors = {"m": MATRIX, "": V1Tensor(DataType.STRING, (), ((),)), "p": PARTS}
    assert decode_header(encode_header(tensors), "p") == tensors


def test_tensors_stand_in_order_of_their_names_bytes() -> None:
    tensors = dict.fromkeys(("ż", "b", "z", "a"), MATRIX)
    assert encode_header(tensors) == encode_header(dict(sorted(tensors.items())))
    assert list(decode_header(encode_header(tensors), "p")) == ["a", "b", "z", "ż"]


def test_what_is_stored_whole_has_no_slices() -> None:
    assert MATRIX.slices == ()
    assert MATRIX.size == 48
    assert PARTS.slices == PARTS.stored
    assert PARTS.size == 0
    assert PARTS.stored_elements == 12
    assert V1Tensor(DataType.STRING, (4, 3), (FULL,)).size == 0


def test_a_name_that_is_no_utf8_is_kept_apart() -> None:
    message = header()
    message.meta.tensor[0].name = b"\xff"
    assert list(decode_header(message.SerializeToString(), "p")) == ["\udcff"]


def test_files_of_2015_have_no_version() -> None:
    assert not header().meta.HasField("versions")
    assert decode_header(header().SerializeToString(), "p")["t"].shape == (4,)


def test_versions_that_must_not_be_read() -> None:
    for field, value in (("min_consumer", 2), ("bad_consumers", [1])):
        message = header()
        message.meta.versions.MergeFrom(message_class("tensorflow.VersionDef")(**{field: value}))
        with pytest.raises(CheckpointVersionError, match="upgrade cloudckpt"):
            decode_header(message.SerializeToString(), "p")


def test_a_negative_version_is_damage() -> None:
    message = header()
    message.meta.versions.producer = -1
    assert "version -1" in damage(message.SerializeToString())


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"type": 0}, "has no dtype"),
        ({"unknown_rank": True}, "a shape that no tensor can have"),
        ({"shape": (-1,)}, "a shape that no tensor can have"),
        ({"shape": (2**62, 2)}, "a shape that no tensor can have"),
        ({"shape": (0, 2**62, 4)}, "a shape that no tensor can have"),
        ({"shape": (1,) * 255}, "a shape that no tensor can have"),
        ({"shape": (4, 4)}, "has a slice that can't be"),
        ({"slices": [(3, 2)]}, "has a slice that can't be"),
        ({"slices": [(-1, 2)]}, "has a slice that can't be"),
        ({"slices": [(0, -2)]}, "has a slice that can't be"),
        ({"slices": [(0, 2), (0, 2)]}, "has a slice that is listed twice"),
    ],
)
def test_headers_that_can_not_be_true(changes: dict[str, Any], found: str) -> None:
    assert found in damage(header(**changes).SerializeToString())


def test_a_tensor_listed_twice_is_damage() -> None:
    message = header()
    message.meta.tensor.add().CopyFrom(message.meta.tensor[0])
    assert "'t' is listed twice" in damage(message.SerializeToString())


def test_other_bytes_are_damage() -> None:
    assert "can't be parsed" in damage(b"\x0a\xff")
    assert "no header of a V1 checkpoint" in damage(b"")
    assert "no header of a V1 checkpoint" in damage(bytes.fromhex("08011a020801"))  # of a V2 index


def test_a_dtype_of_the_future_is_kept_as_a_number() -> None:
    assert decode_header(header(type=99).SerializeToString(), "p")["t"].dtype == 99
