"""Headers and entries: their bytes by hand, round trips, and those that can't be true."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.descriptors import message_class
from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError
from cloudckpt.variables.dtypes import DataType, to_numpy

PATH = "bucket/ckpt-1.index"
ENTRY = BundleEntry(DataType.FLOAT, (2, 3), 1, 64, 24, 0x12345678)
INT64 = st.integers(-(2**63), 2**63 - 1)
FIXED_SIZE = [d for d in DataType if d not in (DataType.STRING, DataType.RESOURCE, DataType.VARIANT)]


def decode(data: bytes, num_shards: int = 2) -> BundleEntry:
    return BundleEntry.decode(data, path=PATH, name="layer/w", num_shards=num_shards)


def damage(**changes: Any) -> str:
    """What is said of ENTRY with these fields of its proto changed."""
    message = message_class("tensorflow.BundleEntryProto").FromString(ENTRY.encode())
    for name, value in changes.items():
        if name == "shape":
            del message.shape.dim[:]
            for size in value:
                message.shape.dim.add().size = size
        elif name == "unknown_rank":
            message.shape.unknown_rank = value
        else:
            setattr(message, name, value)
    with pytest.raises(CheckpointDamagedError) as caught:
        decode(message.SerializeToString())
    assert caught.value.path == PATH
    assert caught.value.tensor == "layer/w"
    assert PATH in str(caught.value)
    assert "'layer/w'" in str(caught.value)
    return str(caught.value)


def test_an_entry_is_in_the_order_of_the_fields_without_zeros() -> None:
    assert BundleEntry(DataType.INT64, (), 0, 0, 8, 0).encode().hex() == "08091200280835d8ea82a2"
    assert ENTRY.encode().hex().startswith("08011208120208021202080318012040281835")


def test_a_header_is_in_the_order_of_the_fields_without_zeros() -> None:
    assert BundleHeader(1).encode().hex() == "08011a020801"
    assert BundleHeader(300, big_endian=True, min_consumer=1).encode().hex() == "08ac0210011a0408011001"


@st.composite
def entries(draw: st.DrawFn) -> BundleEntry:
    data_type = draw(st.sampled_from(FIXED_SIZE))
    shape = tuple(draw(st.lists(st.integers(0, 1000), max_size=5)))
    size = int(np.prod(shape, dtype=object)) * to_numpy(data_type).itemsize
    return BundleEntry(
        data_type, shape, draw(st.integers(0, 8)), draw(st.integers(0, 2**62)), size, draw(st.integers(0, 2**32 - 1))
    )


@given(entries())
def test_decoding_undoes_encoding(entry: BundleEntry) -> None:
    assert decode(entry.encode(), num_shards=9) == entry


@given(st.integers(1, 2**31 - 1), st.booleans(), st.integers(0, 5), st.integers(0, 1), st.lists(st.integers(2, 9)))
def test_decoding_a_header_undoes_encoding(
    num_shards: int, big_endian: bool, producer: int, min_consumer: int, bad_consumers: list[int]
) -> None:
    header = BundleHeader(num_shards, big_endian, producer, min_consumer, tuple(bad_consumers))
    assert BundleHeader.decode(header.encode(), path=PATH) == header


def test_a_sliced_entry_has_slices_and_no_bytes() -> None:
    entry = BundleEntry(DataType.FLOAT, (4, 3), 0, 0, 0, 0, slices=(((0, 2), (0, None)), ((2, 2), (0, None))))
    assert entry.is_sliced
    assert not ENTRY.is_sliced
    assert decode(entry.encode()) == entry


def test_a_dtype_that_tensorflow_adds_one_day_is_kept() -> None:
    entry = decode(BundleEntry(77, (5,), 0, 0, 3, 9).encode())
    assert entry.dtype == 77
    assert entry.size == 3


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_no_strings_may_be_any_bytes_and_none(size: int) -> None:
    assert decode(BundleEntry(DataType.STRING, (0, 7), 0, 0, size, 0).encode()).size == size


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"dtype": 0}, "has no dtype"),
        ({"unknown_rank": True}, "has no shape"),
        ({"shape": (-1, 3)}, r"has shape (-1, 3)"),
        ({"shape": (2**40, 2**40)}, "has shape"),
        ({"shape": (0, 2**40, 2**40)}, "has shape"),
        ({"shape": (1,) * 255}, "and 247 more"),
        ({"shard_id": 2}, "is in shard 2 of 2"),
        ({"shard_id": -1}, "is in shard -1 of 2"),
        ({"offset": -1}, "at offset -1"),
        ({"size": -24}, "has -24 bytes"),
        ({"offset": 2**63 - 1}, "at offset 9223372036854775807"),
        ({"size": 23}, "has 23 bytes, where dtype and shape take 24"),
        ({"dtype": 2}, "has 24 bytes, where dtype and shape take 48"),
        ({"dtype": 7, "size": 9}, "has 9 bytes for 6 strings"),
        ({"dtype": 7, "size": 0}, "has 0 bytes for 6 strings"),
        ({"dtype": 7, "shape": (0,), "size": 3}, "has 3 bytes for 0 strings"),
    ],
)
def test_an_entry_that_can_not_be_true_is_damage(changes: dict[str, Any], found: str) -> None:
    assert found in damage(**changes)


@pytest.mark.parametrize(
    "tensor_slice",
    [
        ((0, 2),),
        ((-1, 2), (0, None)),
        ((3, 2), (0, None)),
        ((0, 0), (0, None)),
        ((0, 2), (0, 2**63 - 1)),
    ],
)
def test_a_slice_that_is_not_in_its_tensor_is_damage(tensor_slice: Any) -> None:
    entry = BundleEntry(DataType.FLOAT, (4, 3), 0, 0, 0, 0, slices=(tensor_slice,))
    with pytest.raises(CheckpointDamagedError, match="has the slice"):
        decode(entry.encode())


@given(st.binary(max_size=60))
def test_any_bytes_are_an_entry_or_damage(data: bytes) -> None:
    with suppress(CheckpointDamagedError):
        decode(data)


@given(st.integers(0, 200), INT64, INT64, st.integers(-(2**31), 2**31 - 1), st.lists(INT64, max_size=5))
def test_any_numbers_are_an_entry_or_damage(dtype: int, offset: int, size: int, shard: int, shape: list[int]) -> None:
    try:
        entry = decode(BundleEntry(dtype, tuple(shape), shard, offset, size, 0).encode())
    except CheckpointDamagedError:
        return
    assert min(0, entry.offset, entry.size, entry.shard_id, *entry.shape) == 0


@pytest.mark.parametrize("header", [BundleHeader(1, min_consumer=2), BundleHeader(1, bad_consumers=(5, 1))])
def test_a_header_that_forbids_it_is_a_version_error(header: BundleHeader) -> None:
    with pytest.raises(CheckpointVersionError, match="upgrade cloudckpt") as caught:
        BundleHeader.decode(header.encode(), path=PATH)
    assert caught.value.path == PATH


@pytest.mark.parametrize("header", [BundleHeader(0), BundleHeader(-1), BundleHeader(1, producer=-1)])
def test_a_header_that_can_not_be_true_is_damage(header: BundleHeader) -> None:
    with pytest.raises(CheckpointDamagedError, match="its header says"):
        BundleHeader.decode(header.encode(), path=PATH)


@given(st.binary(max_size=20))
def test_any_bytes_are_a_header_or_an_error_of_ours(data: bytes) -> None:
    with suppress(CheckpointDamagedError, CheckpointVersionError):
        BundleHeader.decode(data, path=PATH)
