"""Checkpoints that have no tree, and tensors that this version can't read."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import encode_index
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.checksums import crc32c, mask
from cloudckpt.errors import UnsupportedOperationError
from cloudckpt.storage.store import IfAbsent
from cloudckpt.variables.dtypes import DataType


@pytest.fixture
def prefix() -> str:
    return f"memory://{uuid.uuid4().hex}/ckpt"


def put(prefix: str, entries: dict[str, BundleEntry], data: bytes, header: BundleHeader | None = None) -> None:
    """Write a checkpoint of those entries and that data."""
    index = encode_index(header or BundleHeader(num_shards=1), entries)
    with open_prefix(prefix, None) as location:
        for suffix, content in ((".data-00000-of-00001", data), (".index", index)):
            location.store.put(location.key + suffix, content, IfAbsent(), crc32c=crc32c(content))


def test_without_a_tree_tensors_come_by_name(prefix: str) -> None:
    tensors: dict[str, Any] = {"b/c": np.arange(3), "a": np.array("text"), "\udcff": np.zeros(1)}
    with open_prefix(prefix, None) as location:
        save_tensors(location, tensors)
    loaded = ckpt.load(prefix)
    assert [*loaded] == ["a", "b/c", "\udcff"]
    assert loaded["a"].dtype == object
    assert loaded["a"][()] == b"text"
    assert [*loaded["b/c"]] == [0, 1, 2]


def test_an_empty_checkpoint_is_an_empty_dict(prefix: str) -> None:
    with open_prefix(prefix, None) as location:
        assert save_tensors(location, {}).data_files == ()
    assert ckpt.load(prefix) == {}


@pytest.mark.parametrize("dtype", [DataType.RESOURCE, DataType.VARIANT], ids=lambda dtype: dtype.name)
def test_tensors_that_are_no_arrays_are_left_out_with_a_warning(prefix: str, dtype: DataType) -> None:
    entries = {
        "handle": BundleEntry(dtype, (), 0, 0, 3, 0),
        "x": BundleEntry(DataType.UINT8, (2,), 0, 3, 2, crc32c(b"de")),
    }
    put(prefix, entries, b"abcde")
    with pytest.warns(
        ckpt.RecoveryWarning, match=r"1 tensors that are no arrays .* the first being 'handle'"
    ) as caught:
        assert {name: [*array] for name, array in ckpt.load(prefix).items()} == {"x": [*b"de"]}
    assert caught[0].filename == __file__
    with pytest.raises((UnsupportedOperationError, ckpt.StructureError), match="'handle'"):
        ckpt.load(prefix, like={"handle": 1, "x": np.zeros(2, np.uint8)})


def test_a_dtype_that_was_added_later_asks_for_an_upgrade(prefix: str) -> None:
    put(prefix, {"x": BundleEntry(77, (2,), 0, 0, 2, crc32c(b"ab"))}, b"ab")
    with pytest.raises(ckpt.CheckpointVersionError, match=r"'x' .* dtype with number 77.*upgrade") as caught:
        ckpt.load(prefix)
    assert caught.value.tensor == "x"
    with pytest.raises(ckpt.StructureError, match="'x' unknown_77"):
        ckpt.load(prefix, like={"x": np.zeros(2, np.uint8)})


def test_a_tensor_whose_slices_are_not_there_is_damage_by_name(prefix: str) -> None:
    slices = (((0, 1), (0, None)), ((1, 1), (0, None)))
    put(prefix, {"x": BundleEntry(DataType.FLOAT, (2, 3), 0, 0, 0, 0, slices)}, b"")
    with pytest.raises(
        ckpt.CheckpointDamagedError, match=r"the slice '2 3 0,1:-' of tensor 'x', which it has no entry for"
    ):
        ckpt.load(prefix)


def test_a_big_endian_checkpoint_is_read(prefix: str) -> None:
    arrays = {"a": np.array([1, 258], ">i4"), "b": np.array(1 + 2j, ">c8"), "c": np.array([1, 2], ">i2")}
    entries, data = {}, b""
    for (name, array), dtype in zip(arrays.items(), (DataType.INT32, DataType.COMPLEX64, DataType.QINT16), strict=True):
        raw = array.tobytes()
        entries[name] = BundleEntry(dtype, array.shape, 0, len(data), len(raw), crc32c(raw))
        data += raw
    lengths = crc32c((1).to_bytes(4, "big") + (2).to_bytes(4, "big"))
    checksum = mask(lengths).to_bytes(4, "big")
    strings = b"\x01\x02" + checksum + b"xyz"
    entries["s"] = BundleEntry(DataType.STRING, (2,), 0, len(data), len(strings), crc32c(checksum + b"xyz", lengths))
    put(prefix, entries, data + strings, BundleHeader(num_shards=1, big_endian=True))
    loaded = ckpt.load(prefix)
    assert [*loaded["a"]] == [1, 258]
    assert loaded["b"][()] == 1 + 2j
    assert loaded["c"]["qint16"].tolist() == [1, 2]
    assert loaded["s"].tolist() == [b"x", b"yz"]


def test_no_two_tensors_share_bytes(prefix: str) -> None:
    data = bytes(1000)
    entries = {str(name): BundleEntry(DataType.UINT8, (1000,), 0, 0, 1000, crc32c(data)) for name in range(3)}
    put(prefix, entries, data)
    with pytest.raises(ckpt.CheckpointDamagedError, match="has 1000 bytes where the index needs 3000"):
        ckpt.load(prefix)
