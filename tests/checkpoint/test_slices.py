"""Tensors stored in slices, and regions of tensors: right values, no more bytes than needed, and named errors."""

from __future__ import annotations

import tracemalloc
import uuid
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudckpt.bundle.entry import BundleEntry
from cloudckpt.bundle.slice_keys import encode_slice_key
from cloudckpt.checkpoint import read as reading
from cloudckpt.checkpoint import targets
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.opened import StringForm, TensorRequest
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checksums import crc32c
from cloudckpt.errors import (
    CheckpointDamagedError,
    ChecksumMismatchError,
    InvalidArgumentError,
    TensorNotFoundError,
)
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables.dtypes import DataType
from tests.checkpoint.partitions import partitions, regions, shapes
from tests.checkpoint.sliced import SlicedCheckpoint, elements
from tests.golden.cases import tensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = [((0, 2), (0, None)), ((2, 2), (0, None))]
SQUARE = np.arange(16, dtype=np.float32).reshape(4, 4)
MIB = 1 << 20
DTYPES = {name.partition("/")[0]: array for name, array in tensors("dtypes").items() if name.endswith("/matrix")}
DTYPES["string"] = np.array([b"", b"a", b"\0\xff", b"x" * 300, b"yz", b"z"], object).reshape(2, 1, 3)


@pytest.fixture
def place() -> Location:
    return fresh_place()


def fresh_place() -> Location:
    return open_location(f"memory://{uuid.uuid4().hex}/ckpt")


@pytest.fixture
def square(place: Location) -> Location:
    """A 4x4 matrix in two slices, and as it is."""
    checkpoint = SlicedCheckpoint()
    checkpoint.add("w", SQUARE, ROWS)
    checkpoint.add("whole", SQUARE)
    checkpoint.put(place)
    return place


def read(place: Location, *requests: tuple[Any, ...]) -> list[np.ndarray]:
    return open_checkpoint(place).read([TensorRequest(*request) for request in requests])


@contextmanager
def counted(place: Location) -> Iterator[tuple[Location, list[int]]]:
    """The same place on a store that notes how many bytes each read asks for."""
    sizes: list[int] = []
    store = FaultyStore(place.store, 0)
    inner = store.read

    def read(key: str, offset: int, into: Any, version: str | None = None) -> None:
        sizes.append(sum(len(view) for view in into))
        inner(key, offset, into, version)

    store.read = read  # type: ignore[method-assign]
    yield Location(store, place.key), sizes


def assert_equal(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.tolist() == expected.tolist()
    assert found.flags.owndata
    assert found.flags.writeable


@settings(max_examples=150)
@given(st.data(), shapes, st.integers(1, 3), st.booleans())
def test_any_region_of_any_slicing(data: Any, shape: tuple[int, ...], shards: int, big_endian: bool) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(data.draw(st.sampled_from("BhfFd")))
    if not big_endian and data.draw(st.booleans()):
        array = np.array([b"s" * (number % 5) for number in range(array.size)], object).reshape(shape)
    checkpoint = SlicedCheckpoint(shards=shards, gap=data.draw(st.integers(0, 9)), big_endian=big_endian)
    for name in ("a", "b"):
        checkpoint.add(name, array, data.draw(partitions(shape)))
    place = fresh_place()
    checkpoint.put(place)
    requests = data.draw(st.lists(st.tuples(st.sampled_from("ab"), st.none() | regions(shape)), max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "RANGE_BYTES", data.draw(st.integers(8, 200)))
        patch.setattr(reading, "IN_ORDER_BYTES", data.draw(st.integers(8, 100)))
        patch.setattr(reading, "GAP_BYTES", data.draw(st.integers(0, 20)))
        patch.setattr(reading, "MANY_PARTS", 2)
        patch.setattr(targets, "COPIED_BYTES", data.draw(st.integers(0, 100)))
        found = read(place, *requests)
    for (_, region), result in zip(requests, found, strict=True):
        expected = array if region is None else array[elements(region)]
        assert result.tolist() == expected.tolist()
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)


# The header of big-endian strings is another one: tests/objects/trees/test_load.py has it.
@pytest.mark.parametrize(
    ("name", "big_endian"), [*product(DTYPES, [False]), *product(DTYPES.keys() - {"string"}, [True])]
)
def test_every_dtype(place: Location, name: str, big_endian: bool) -> None:
    array = DTYPES[name]
    checkpoint = SlicedCheckpoint(shards=2, big_endian=big_endian)
    checkpoint.add(name, array, [((0, 1), (0, None), (0, None)), ((1, 1), (0, 1), (0, 2)), ((1, 1), (0, 1), (2, 1))])
    checkpoint.put(place)
    whole, part = read(place, (name,), (name, ((0, None), (0, 1), (1, 2))))
    assert_equal(whole, array)
    assert_equal(part, array[:, :, 1:])


def test_requests_are_answered_in_their_order_each_with_an_array_of_its_own(square: Location) -> None:
    first, second, third = read(square, ("w",), ("whole",), ("w",))
    first[:] = 0
    assert second.tolist() == third.tolist() == SQUARE.tolist()
    assert read(square) == []


def test_strings_in_slices_come_in_the_form_that_is_asked_for(place: Location) -> None:
    checkpoint = SlicedCheckpoint()
    checkpoint.add("s", np.array([b"a", b"bc", b"d"], object), [((0, 2),), ((2, 1),)])
    checkpoint.put(place)
    form = StringForm(np.dtype("U2"), lambda strings: [string.decode() for string in strings])
    (found,) = read(place, ("s", ((1, 2),), form))
    assert_equal(found, np.array(["bc", "d"]))


def test_slices_that_are_neighbours_are_one_request(square: Location) -> None:
    with counted(square) as (place, sizes):
        read(place, ("w",))
    assert sizes == [64]


def test_only_the_slices_that_are_needed_are_read(square: Location) -> None:
    with counted(square) as (place, sizes):
        assert_equal(read(place, ("w", ((2, 1), (1, 2))))[0], SQUARE[2:3, 1:3])
        assert_equal(read(place, ("whole", ((1, 2), (0, None))))[0], SQUARE[1:3])
        assert_equal(read(place, ("w", ((1, 0), (0, None))))[0], SQUARE[1:1])
    assert sizes == [8, 32]


def big_file(folder: Path, name: str, shape: tuple[int, ...], *slices: Any) -> Location:
    """A checkpoint with a float tensor as large as one likes: its data file is a hole."""
    size = 4 * int(np.prod(shape, dtype=int))
    place = Location(LocalStore(fsync=False), str(folder / "ckpt"))
    checkpoint = SlicedCheckpoint()
    checkpoint.entries[name] = BundleEntry(DataType.FLOAT, shape, 0, 0, size, 0)
    checkpoint.put(place)
    with open(folder / "ckpt.data-00000-of-00001", "r+b") as file:
        file.truncate(size)
    return place


def test_a_little_of_a_large_checkpoint_is_one_little_read(tmp_path: Path) -> None:
    place = big_file(tmp_path, "w", (10 << 20, 256))
    with counted(place) as (counting, sizes):
        (found,) = read(counting, ("w", ((7 << 20, 4), (0, None))))
    assert sizes == [4096]
    assert found.shape == (4, 256)


def test_columns_of_long_rows_are_read_row_by_row(tmp_path: Path) -> None:
    place = big_file(tmp_path, "w", (64, MIB))
    with counted(place) as (counting, sizes):
        read(counting, ("w", ((0, None), (100, 1000))))
    assert sizes == [4000] * 64


def test_columns_are_read_with_the_short_gaps_between(tmp_path: Path) -> None:
    place = big_file(tmp_path, "w", (64, 10_000))
    with counted(place) as (counting, sizes):
        read(counting, ("w", ((0, None), (100, 1000))))
    assert sizes == [63 * 40_000 + 4000]


@pytest.mark.parametrize(
    ("shape", "region"),
    [((65536, 1024), ((0, None), (0, 512))), ((65536, 1024), None), ((64, 1 << 20), ((0, None), (5, 1 << 19)))],
    ids=["half of each short row", "all", "half of each long row"],
)
def test_memory_beyond_the_arrays_is_bounded(tmp_path: Path, shape: Any, region: Any) -> None:
    place = big_file(tmp_path, "w", shape)
    with open_checkpoint(place).prefix as location:
        tracemalloc.start()
        try:
            try:
                (found,) = read(location, ("w", region))
                beyond = tracemalloc.get_traced_memory()[1] - found.nbytes
            except ChecksumMismatchError:  # of the hole that was wanted whole, after all has been read
                beyond = tracemalloc.get_traced_memory()[1] - 4 * 65536 * 1024
        finally:
            tracemalloc.stop()
    assert beyond < 40 * MIB


def test_memory_of_many_small_tensors(tmp_path: Path) -> None:
    count = 20_000
    checkpoint = SlicedCheckpoint()
    array = np.arange(1024, dtype=np.int32)
    for number in range(count):
        checkpoint.add(f"{number:05}", array)
    place = Location(LocalStore(fsync=False), str(tmp_path / "ckpt"))
    checkpoint.put(place)
    opened = open_checkpoint(place)
    tracemalloc.start()
    try:
        found = opened.read_named(opened.tensors)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == count
    assert peak < count * (array.nbytes + 600) + 40 * MIB


def alter(place: Location, position: int) -> None:
    """Change one byte of the data file."""
    key = f"{place.key}.data-00000-of-00001"
    data = bytearray(place.store.get(key)[0])
    data[position] ^= 1
    place.store.put(key, data, Always(), crc32c=crc32c(data))


def test_a_slice_that_is_wanted_whole_is_checked_and_a_part_of_one_is_not(square: Location) -> None:
    alter(square, 40)
    for whole in (None, ROWS[1], ((1, 3), (0, 4))):
        with pytest.raises(ChecksumMismatchError, match=r"'w' in .*data-00000-of-00001' is damaged"):
            read(square, ("w", whole))
    read(square, ("w", ROWS[0]))
    (part,) = read(square, ("w", ((2, 2), (0, 3))))
    assert (part != SQUARE[2:, :3]).sum() == 1


def test_a_large_tensor_that_comes_in_many_parts_is_checked(square: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RANGE_BYTES", 16)
    assert_equal(read(square, ("whole",))[0], SQUARE)
    alter(square, 64 + 20)
    with pytest.raises(ChecksumMismatchError, match="'whole'"):
        read(square, ("whole",))


def damaged(place: Location, change: Any) -> str:
    """What reading says when the checkpoint of `square` was put together with a change."""
    checkpoint = SlicedCheckpoint()
    checkpoint.add("w", SQUARE, ROWS)
    change(checkpoint)
    checkpoint.put(place)
    with pytest.raises(CheckpointDamagedError) as caught:
        read(place, ("w",))
    assert (caught.value.path, caught.value.tensor) == (place.url, "w")
    return str(caught.value)


KEY = encode_slice_key("w", ROWS[1])


def test_a_slice_without_an_entry(place: Location) -> None:
    found = damaged(place, lambda checkpoint: checkpoint.slice_entries.pop(KEY))
    assert "lists the slice '4 4 2,2:-' of tensor 'w', which it has no entry for" in found


@pytest.mark.parametrize(
    "changes",
    [{"dtype": DataType.INT32}, {"shape": (4, 2)}, {"shape": (8,)}, {"size": 0, "slices": (ROWS[0],)}],
    ids=["dtype", "shape", "rank", "in slices itself"],
)
def test_a_slice_whose_entry_does_not_fit(place: Location, changes: dict[str, Any]) -> None:
    def change(checkpoint: SlicedCheckpoint) -> None:
        checkpoint.slice_entries[KEY] = checkpoint.slice_entries[KEY]._replace(**changes)

    assert "the slice '4 4 2,2:-' of tensor 'w', whose entry is" in damaged(place, change)


def test_slices_that_overlap(place: Location) -> None:
    found = damaged(place, lambda checkpoint: checkpoint.add("w", SQUARE, [*ROWS, ((1, 2), (0, None))]))
    assert "'4 4 0,2:0,4' and '4 4 1,2:0,4', which overlap" in found


def test_a_slice_that_is_listed_twice(place: Location) -> None:
    found = damaged(place, lambda checkpoint: checkpoint.add("w", SQUARE, [*ROWS, ROWS[0]]))
    assert "lists one slice of tensor 'w' twice" in found


def test_slices_that_leave_elements_out(place: Location) -> None:
    checkpoint = SlicedCheckpoint()
    checkpoint.add("w", SQUARE, ROWS[1:])
    checkpoint.put(place)
    with pytest.raises(TensorNotFoundError, match="has 8 of the 16 elements of '4 4 0,4:0,4'") as e:
        read(place, ("w",))
    assert (e.value.path, e.value.tensor) == (place.url, "w")
    assert_equal(read(place, ("w", ((3, 1), (0, None))))[0], SQUARE[3:])


def test_a_shape_that_no_slice_backs_takes_no_memory(place: Location) -> None:
    checkpoint = SlicedCheckpoint()
    checkpoint.add("w", SQUARE, ROWS)
    checkpoint.entries["w"] = checkpoint.entries["w"]._replace(shape=(1 << 30, 1 << 29))
    checkpoint.put(place)
    tracemalloc.start()
    try:
        with pytest.raises((TensorNotFoundError, CheckpointDamagedError)):
            read(place, ("w",))
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("region", [((0, 5), (0, None)), ((0, 2),), ((-1, 2), (0, 4)), ((0, 2), (0, 4), (0, 1))])
@pytest.mark.parametrize("name", ["w", "whole"])
def test_a_region_that_is_not_in_the_tensor(square: Location, name: str, region: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"tensor '{name}' of .* has no such part: ") as caught:
        read(square, (name, region))
    assert (caught.value.path, caught.value.tensor) == (square.url, name)


def test_a_tensor_that_is_not_there_is_told_before_anything_is_read(square: Location) -> None:
    with counted(square) as (place, sizes), pytest.raises(TensorNotFoundError, match="has no tensor 'x'"):
        read(place, ("w",), ("x", ROWS[0]))
    assert sizes == []


def test_slices_of_one_tensor_of_strings_read_and_decode_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.array([b"%04d" % number for number in range(1000)], object)
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    save_tensors(place, {"w": words})
    sizes, read = [], type(place.store).read

    def counted(store: Any, key: str, offset: int, into: Any, version: str | None = None) -> None:
        sizes.append(sum(view.nbytes for view in into))
        read(store, key, offset, into, version)

    monkeypatch.setattr(type(place.store), "read", counted)
    arrays = open_checkpoint(place).read([TensorRequest("w", ((number, 1),)) for number in range(1000)])
    assert np.array_equal(np.concatenate(arrays), words)
    assert sum(sizes) == 1000 + 4 + 4000


def test_a_tensor_of_strings_wanted_twice_is_two_arrays() -> None:
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    save_tensors(place, {"w": np.array([b"a", b"b"], object)})
    first, second = open_checkpoint(place).read([TensorRequest("w"), TensorRequest("w")])
    first[0] = b"other"
    assert second.tolist() == [b"a", b"b"]
