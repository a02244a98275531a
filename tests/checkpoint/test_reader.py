"""Opening and reading: how many requests, which bytes, and what a missing or changed file is called."""

from __future__ import annotations

import gc
import uuid
import weakref
from typing import Any

import numpy as np
import pytest

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.index import encode_index
from cloudckpt.bundle.naming import index_filename
from cloudckpt.checkpoint import read as reading
from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.opened import StringForm
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.reader import open_checkpoint, read_consistently
from cloudckpt.checksums import crc32c
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    ChecksumMismatchError,
    TensorNotFoundError,
)
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables.dtypes import DataType

ARRAYS: dict[str, Any] = {
    "a": np.arange(10, dtype=np.uint8),
    "b": np.array([b"x" * number for number in range(50)], object),
    "c": np.arange(300, dtype=np.int32),
    "d": np.empty((0, 2)),
    "e": np.arange(10.0),
}


@pytest.fixture
def place() -> Location:
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    save_tensors(place, ARRAYS)
    return place


def data_key(place: Location) -> str:
    (key,) = list_prefix(place).data
    return key


def rewrite(place: Location, data: bytes) -> None:
    place.store.put(data_key(place), data, Always(), crc32c=crc32c(data))


def reads(place: Location, names: list[str]) -> list[int]:
    """The bytes of each read for those tensors."""
    sizes: list[int] = []
    store = FaultyStore(place.store, 0)
    inner = store.read

    def counted(key: str, offset: int, into: Any, version: str | None = None) -> None:
        sizes.append(sum(len(view) for view in into))
        inner(key, offset, into, version)

    store.read = counted  # type: ignore[method-assign]
    found = open_checkpoint(Location(store, place.key)).read_named(names)
    assert all(found[name].tolist() == ARRAYS[name].tolist() for name in names)
    return sizes


def test_all_tensors_are_one_request(place: Location) -> None:
    checkpoint = open_checkpoint(place)
    assert isinstance(checkpoint, BundleCheckpoint)
    assert reads(place, [*ARRAYS]) == [max(offset + size for _, offset, size in checkpoint.index.extents())]


def test_one_tensor_is_its_own_bytes(place: Location) -> None:
    assert reads(place, ["c"]) == [1200]
    assert reads(place, ["d"]) == []


def test_a_small_gap_is_read_over_and_a_large_one_is_not(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(reads(place, ["a", "e"])) == 1
    monkeypatch.setattr(reading, "GAP_BYTES", 64)
    assert sorted(reads(place, ["a", "e"])) == [10, 80]


def test_large_tensors_are_several_requests(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RANGE_BYTES", 500)
    monkeypatch.setattr(reading, "IN_ORDER_BYTES", 300)
    assert max(reads(place, [*ARRAYS])) <= 500
    assert sorted(reads(place, ["b"])) == [79, 300, 300, 300, 300]


def test_strings_come_in_the_form_that_is_asked_for(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RANGE_BYTES", 200)
    monkeypatch.setattr(reading, "IN_ORDER_BYTES", 70)
    form = StringForm(np.dtype("U60"), lambda strings: [string.decode() for string in strings])
    array = open_checkpoint(place).read_named(["b"], {"b": form})["b"]
    assert array.dtype == "U60"
    assert array.tolist() == ["x" * number for number in range(50)]


def test_a_form_that_fails_is_told_after_damage(place: Location) -> None:
    def refuse(strings: Any) -> Any:
        raise ValueError("not these")

    with pytest.raises(ValueError, match="not these"):
        open_checkpoint(place).read_named(["b"], {"b": StringForm(convert=refuse)})
    data, _ = place.store.get(data_key(place))
    rewrite(place, data.replace(b"x" * 1000, b"x" * 999 + b"y"))
    with pytest.raises(ChecksumMismatchError):
        open_checkpoint(place).read_named(["b"], {"b": StringForm(convert=refuse)})


def test_a_tensor_that_is_not_there(place: Location) -> None:
    with pytest.raises(TensorNotFoundError, match="has no tensor 'x'") as caught:
        open_checkpoint(place).read_named(["a", "x"])
    assert (caught.value.path, caught.value.tensor) == (place.url, "x")


def test_a_missing_data_file_is_named(place: Location) -> None:
    key = data_key(place)
    place.store.delete([key])
    for act in (lambda: open_checkpoint(place).read_named(["a"]), lambda: read_consistently(place, lambda _: None)):
        with pytest.raises(CheckpointDamagedError, match=r"is not whole: .*data-00000-of-00001' is missing"):
            act()
    assert open_checkpoint(place).missing == f"{place.store.url(key)!r} is missing"


def test_a_short_data_file_is_named_before_anything_is_read(place: Location) -> None:
    data, _ = place.store.get(data_key(place))
    rewrite(place, data[:-1])
    store = FaultyStore(place.store, 0)
    with pytest.raises(CheckpointDamagedError, match=f"has {len(data) - 1} bytes where the index needs {len(data)}"):
        read_consistently(Location(store, place.key), lambda checkpoint: checkpoint.read_named(ARRAYS))
    assert not any(operation.startswith("read") for operation in store.operations)


@pytest.mark.parametrize("dtype", [DataType.DOUBLE, DataType.STRING])
def test_no_memory_is_taken_for_what_a_missing_file_would_hold(place: Location, dtype: DataType) -> None:
    huge = 2**60
    claimed = BundleEntry(dtype, (huge // 8,), 1, 0, huge, 0)
    data = encode_index(BundleHeader(2), {"a": BundleEntry(DataType.UINT8, (4,), 0, 0, 4, 0), "huge": claimed})
    place.store.put(index_filename(place.key), data, Always(), crc32c=crc32c(data))
    with pytest.raises(CheckpointDamagedError, match="data-00001-of-00002' is missing"):
        open_checkpoint(place).read_named(["huge"])


def test_a_longer_data_file_does_no_harm(place: Location) -> None:
    data, _ = place.store.get(data_key(place))
    rewrite(place, data + b"more")
    assert open_checkpoint(place).read_named(["a"])["a"].tolist() == ARRAYS["a"].tolist()


def test_a_data_file_that_is_written_over_while_it_is_read_is_damage(place: Location) -> None:
    data, _ = place.store.get(data_key(place))

    def read(checkpoint: Any) -> None:
        rewrite(place, data)
        checkpoint.read_named(["a"])

    with pytest.raises(CheckpointDamagedError, match=r"is not whole: .*replaced"):
        read_consistently(place, read)


def test_nothing_there(place: Location) -> None:
    place.store.delete([f"{place.key}.index"])
    with pytest.raises(CheckpointNotFoundError, match=r"its index '.*ckpt\.index' does not exist") as caught:
        open_checkpoint(place)
    assert caught.value.path == place.url


def test_the_requests_of_a_read(place: Location) -> None:
    for files, looked in ((None, ["list ckpt."]), (list_prefix(place), [])):
        store = FaultyStore(place.store, 0)
        read_consistently(Location(store, place.key), lambda checkpoint: checkpoint.read_named(["a"]), files)
        assert store.operations == ["get ckpt.index", *looked, "read ckpt.data-00000-of-00001", "stat ckpt.index"]


@pytest.mark.parametrize("tensors", [{"a": np.ones(5000), "b": np.ones(3)}, {"s": np.array([b"x"] * 3, object)}])
def test_what_was_read_is_freed_with_its_last_reference(tensors: dict[str, Any]) -> None:
    """Not only when Python next looks for cycles: one tensor after the other is read in the memory of one."""
    prefix = open_location("memory://freed/ckpt")
    save_tensors(prefix, tensors)
    checkpoint = open_checkpoint(prefix)
    gc.collect()
    gc.disable()
    try:
        references = [*map(weakref.ref, checkpoint.read_named(tensors).values())]
    finally:
        gc.enable()
    assert all(reference() is None for reference in references)
