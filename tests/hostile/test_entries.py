"""Entries that lie, in an index whose checksums are right: refused by every reader before anything is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.descriptors import message_class
from cloudckpt.verification.report import FindingKind
from cloudckpt.verification.verify import verify
from tests.hostile.forgery import STRING, Forgery, elements, entry_proto, strings_content
from tests.hostile.readers import READERS, assert_refused, refusals

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("small_memory")

TWO = elements((2,))
MAX = 2**63 - 1
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "no dtype": ({"dtype": 0}, "has no dtype"),
    "a dimension below zero": ({"shape": (-1,)}, "has shape"),
    "a dimension of an unknown size": ({"shape": (2, -1)}, "has shape"),
    "two below zero whose product is not": ({"shape": (-2, -1)}, "has shape"),
    "a shape whose product wraps to the right size": ({"shape": (2**32, 2**32, 2)}, "has shape"),
    "a shape whose product wraps to zero": ({"shape": (2**32, 2**32), "size": 0}, "has shape"),
    "a zero that hides what no int64 counts": ({"shape": (0, 2**62, 2**62), "size": 0}, "has shape"),
    "the largest dimension": ({"shape": (MAX,), "size": MAX}, "has shape"),
    "more dimensions than TensorFlow has": ({"shape": (1,) * 255 + (2,)}, "has shape"),
    "a size that the shape has not": ({"size": 7}, "dtype and shape take 8"),
    "a shape that the size has not": ({"shape": (3,)}, "dtype and shape take 12"),
    "a terabyte that no file backs": ({"shape": (2**38,), "size": 2**40}, "where the index needs"),
    "a size below zero": ({"shape": (), "size": -4}, "bytes at offset"),
    "an offset below zero": ({"offset": -8}, "bytes at offset"),
    "an offset and a size that wrap": ({"offset": MAX - 7, "shape": (4,), "size": 16}, "bytes at offset"),
    "an offset behind the end of the file": ({"offset": 2**62}, "where the index needs"),
    "an end behind the end of the file": ({"offset": 1}, "where the index needs"),
    "a shard that is none": ({"shard_id": 1}, "is in shard 1 of 1"),
    "a shard below zero": ({"shard_id": -1}, "is in shard -1 of 1"),
    "strings, of which each has a length": ({"dtype": STRING, "shape": (2**40,), "size": 8}, "bytes for"),
    "strings without room for a checksum": ({"dtype": STRING, "shape": (5,), "size": 8}, "bytes for"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_entry_that_lies(lie: str, tmp_path: Path) -> None:
    fields, found = LIES[lie]
    forgery = Forgery()
    forgery.tensor("a", TWO, **fields)
    refused = assert_refused(forgery.write(tmp_path / "ckpt"), {"a": TWO})
    assert found in refused["load"]
    assert found in refused["verify"]


def test_a_shape_of_unknown_rank(tmp_path: Path) -> None:
    message = message_class("tensorflow.BundleEntryProto").FromString(entry_proto(1, (), size=4))
    message.shape.unknown_rank = True
    forgery = Forgery()
    forgery.store(bytes(4))
    forgery.rows[b"a"] = message.SerializeToString()
    assert "has no shape" in assert_refused(forgery.write(tmp_path / "ckpt"), {"a": TWO})["load"]


@pytest.mark.parametrize("value", [b"\xff", b"\x12\xff", b"\x08", b"\x12\x04\x12\x02\x08"])
def test_an_entry_that_does_not_parse(value: bytes, tmp_path: Path) -> None:
    forgery = Forgery()
    forgery.tensor("good", TWO)
    forgery.rows[b"bad"] = value
    prefix = forgery.write(tmp_path / "ckpt")
    assert "'bad'" in assert_refused(prefix, {"bad": TWO})["load"]
    assert verify(prefix).tensors_checked == 1


def test_tensors_that_share_bytes_to_fill_a_large_memory(tmp_path: Path) -> None:
    """A thousand entries of one range: what they come to must be in the file."""
    forgery = Forgery()
    array = elements((2000,))
    for number in range(1000):
        forgery.rows[f"t{number:03}".encode()] = entry_proto(1, array.shape, size=array.nbytes)
    forgery.store(array.tobytes())
    prefix = forgery.write(tmp_path / "ckpt")
    refused = assert_refused(prefix, {f"t{number:03}": array for number in range(1000)})
    assert "where the index needs 8000000" in refused["load"]
    assert verify(prefix).bytes_checked == array.nbytes


def test_two_tensors_that_share_bytes_of_a_longer_file(tmp_path: Path) -> None:
    """Harmless: TensorFlow reads it, so do we, and `verify` says so."""
    forgery = Forgery()
    forgery.tensor("a", TWO)
    forgery.tensor("b", TWO, offset=0)
    refused = refusals(forgery.write(tmp_path / "ckpt"), {"a": TWO, "b": TWO})
    assert {*refused} == {"verify"}
    assert FindingKind.RANGES_OVERLAP in refused["verify"]


@pytest.mark.parametrize(
    "lengths",
    [[3, 2**62], [2**62, 2**62, 2**62, 2**62, 5], [2**63 - 1, 2**63 - 1, 7], [2**32, 2**32], [0, 0], [6], [4]],
    ids=str,
)
def test_strings_whose_lengths_lie(lengths: list[int], tmp_path: Path) -> None:
    content, crc = strings_content(lengths, b"abcde")
    forgery = Forgery()
    forgery.store(content)
    forgery.rows[b"s"] = entry_proto(STRING, (len(lengths),), size=len(content), crc=crc)
    refused = assert_refused(forgery.write(tmp_path / "ckpt"), {"s": np.array([b""] * len(lengths), object)})
    assert "lengths of" in refused["load"]
    assert FindingKind.CONTENT_DAMAGED in refused["verify"]


@pytest.mark.parametrize("content", [b"\xff" * 40, b"\x80" * 40, b"\x80" * 9 + b"\x01" * 31], ids=range(3))
def test_strings_whose_lengths_can_not_be_read(content: bytes, tmp_path: Path) -> None:
    forgery = Forgery()
    forgery.store(content)
    forgery.rows[b"s"] = entry_proto(STRING, (3,), size=len(content))
    assert "lengths of" in assert_refused(forgery.write(tmp_path / "ckpt"), {"s": np.array([b""] * 3, object)})["load"]


@pytest.mark.parametrize("dtype", [99, 101, 2**31 - 1])
def test_a_dtype_that_nobody_knows(dtype: int, tmp_path: Path) -> None:
    forgery = Forgery()
    forgery.tensor("a", TWO, dtype=dtype)
    refused = assert_refused(forgery.write(tmp_path / "ckpt"), {"a": TWO})
    assert "upgrade cloudckpt" in refused["load"]
    assert FindingKind.VERSION_UNSUPPORTED in refused["verify"]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff",
        b"\x08\x00",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x08\x01\x10\x07",
        b"\x08\x01\x1a\x02\x10\x63",
    ],
    ids=["empty", "no message", "no shards", "shards below zero", "a byte order that is none", "for later readers"],
)
def test_a_header_that_lies(header: bytes, tmp_path: Path) -> None:
    forgery = Forgery(header=header)
    forgery.tensor("a", TWO)
    refused = refusals(forgery.write(tmp_path / "ckpt"), {"a": TWO})
    assert {*refused} == {*READERS, "verify"} - {"slices"} | {*refused} & {"slices"}


def test_more_shards_than_files(tmp_path: Path) -> None:
    """As many as an int32 counts: only those that entries refer to are looked for."""
    forgery = Forgery(num_shards=2**31 - 1)
    forgery.tensor("a", TWO, shard_id=2**31 - 2)
    assert refusals(forgery.write(tmp_path / "ckpt"), {"a": TWO}) == {}


def test_names_that_would_leave_the_folder(tmp_path: Path) -> None:
    """A name is never a path."""
    forgery = Forgery()
    names = ["../../etc/passwd", "/etc/passwd", "a\nb", "..", "\x7f", "é", "x" * 10_000]
    for name in names:
        forgery.tensor(name, TWO)
    prefix = forgery.write(tmp_path / "ckpt")
    assert refusals(prefix, dict.fromkeys(names, TWO)) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt.data-00000-of-00001", "ckpt.index"]
