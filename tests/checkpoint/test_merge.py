"""Merging checkpoints: what is refused, what is kept, which requests are made."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.bundle.entry import BundleEntry, BundleHeader
from cloudckpt.bundle.entry_columns import NamedEntries
from cloudckpt.bundle.index import BundleIndex, decode_index, encode_index
from cloudckpt.bundle.naming import data_filename, index_filename
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.merge import merge_checkpoints
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.checkpoint.v1_save import save_v1
from cloudckpt.checksums import crc32c
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointPathError,
    CommitConflictError,
    InvalidArgumentError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage import memory
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore
from cloudckpt.variables import overlap
from cloudckpt.variables.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cloudckpt.storage.store import Capabilities

MATRIX = np.arange(12.0).reshape(4, 3)
PARTS: list[dict[str, Any]] = [
    {"a": np.arange(1000), "w": SlicedTensor((4, 3), {((0, 2), (0, None)): MATRIX[:2]})},
    {"b": np.array([b"x", b"yz"], object), "w": SlicedTensor((4, 3), {((2, 2), (0, None)): MATRIX[2:]})},
]


@pytest.fixture
def folder() -> Location:
    return open_location(f"memory://{uuid.uuid4().hex}/run")


def sources(folder: Location, parts: Iterable[Any] = PARTS, **options: Any) -> list[Location]:
    """The parts, each saved under a name of its own."""
    places = []
    for number, part in enumerate(parts):
        places.append(folder.child(f"part-{number}"))
        save_tensors(places[-1], part, **options)
    return places


def merge(sources: list[Location], destination: Location, **options: Any) -> Any:
    return merge_checkpoints(sources, destination, **({"delete_old": True, "allow_missing": False} | options))


def keys(place: Location) -> set[str]:
    files = list_prefix(place)
    return {*files.data} | ({files.index.key} if files.index else set())


def check(place: Location) -> None:
    found = open_checkpoint(place).read_named(["a", "b", "w"])
    assert found["a"].tolist() == [*range(1000)]
    assert found["b"].tolist() == [b"x", b"yz"]
    assert found["w"].tolist() == MATRIX.tolist()


class LimitedStore(FaultyStore):
    """A store that can do less than the one it works on."""

    limits: Mapping[str, bool]

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, **self.limits)


def operations_of(folder: Location, **limits: bool) -> LimitedStore:
    store = LimitedStore(folder.store, 0)
    store.limits = limits
    return store


@pytest.mark.parametrize("reuse_names", [True, False])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("server_side_copy", [True, False])
@pytest.mark.parametrize("parallel_upload", [True, False])
@pytest.mark.parametrize("replacing", [True, False])
def test_tensors_and_slices_are_united(
    folder: Location, reuse_names: bool, shards: int, server_side_copy: bool, parallel_upload: bool, replacing: bool
) -> None:
    limits = {"server_side_copy": server_side_copy, "parallel_upload": parallel_upload}
    place = Location(operations_of(folder, **limits), folder.child("ckpt").key)
    if replacing:
        save_tensors(place, {"old": np.zeros(1)}, shards=shards)
    parts = sources(Location(place.store, folder.key), reuse_names=reuse_names, shards=shards)
    saved = merge(parts, place)
    check(place)
    assert keys(place) == {*saved.data_files, saved.index.key}
    assert len(saved.data_files) == 2 * shards
    assert all(keys(part) == set() for part in parts)


def test_the_requests_where_the_store_copies(folder: Location) -> None:
    parts = sources(folder)
    store = operations_of(folder)
    place = Location(store, folder.child("ckpt").key)
    merge([Location(store, part.key) for part in parts], place)
    by_kind = [operation.partition(" ")[0] for operation in store.operations]
    looks = ["get", "list", "stat"] * 2
    assert sorted(by_kind[:6]) == sorted(looks)
    assert by_kind[6:] == ["list", "copy", "copy", "put", *(["delete_if_version", "delete"] * 2)]


def test_sources_stay_if_they_are_not_to_be_deleted(folder: Location) -> None:
    parts = sources(folder)
    before = [keys(part) for part in parts]
    merge(parts, folder.child("ckpt"), delete_old=False)
    assert [keys(part) for part in parts] == before
    check(folder.child("ckpt"))


def test_other_stores_are_read_through_this_process(folder: Location, tmp_path: Path) -> None:
    parts = sources(open_location(tmp_path))
    merge(parts, folder.child("ckpt"))
    check(folder.child("ckpt"))
    assert [*tmp_path.iterdir()] == []


def test_large_files_go_in_pieces(folder: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory._MemoryUpload, "part_size", 1000)
    store = FaultyStore(open_location(tmp_path).store, 0)
    parts = sources(Location(store, str(tmp_path)))
    store.operations.clear()
    merge(parts, folder.child("ckpt"))
    check(folder.child("ckpt"))
    sizes = [info.size for info in list_prefix(folder.child("ckpt")).data.values()]
    pieces = sum(-(-size // 1000) for size in sizes)
    assert [step.partition(" ")[0] for step in store.operations].count("read") == pieces > 8


def test_what_this_version_can_not_read_is_copied_unharmed(folder: Location) -> None:
    data = b"some bytes of something in C++"
    entries = {
        "variant": BundleEntry(DataType.VARIANT, (), 0, 0, 10, 1),
        "future": BundleEntry(9999, (3,), 0, 10, 20, 2),
    }
    part = folder.child("part")
    write(part, BundleIndex(BundleHeader(1), NamedEntries.of(entries)), data)
    merge([part, *sources(folder)], folder.child("ckpt"))
    check(folder.child("ckpt"))
    found, _ = folder.store.get(index_filename(folder.child("ckpt").key))
    index = decode_index(found, "index")
    for name, entry in entries.items():
        assert index.entries[name] == entry._replace(shard_id=index.entries[name].shard_id)
        key = data_filename(folder.child("ckpt").key, index.entries[name].shard_id, index.header.num_shards)
        assert folder.store.get(key)[0] == data


def write(place: Location, index: BundleIndex, data: bytes) -> None:
    encoded = encode_index(index.header, index.entries, index.slice_entries)
    place.store.put(data_filename(place.key, 0, 1), data, Always(), crc32c=crc32c(data))
    place.store.put(index_filename(place.key), encoded, Always(), crc32c=crc32c(encoded))


@pytest.mark.parametrize(
    "header",
    [BundleHeader(1, big_endian=True), BundleHeader(1, producer=2), BundleHeader(1, bad_consumers=(7,))],
    ids=["byte order", "version", "consumers"],
)
def test_headers_that_differ_are_refused(folder: Location, header: BundleHeader) -> None:
    other, alone = folder.child("other"), folder.child("alone")
    for place in (other, alone):
        write(
            place, BundleIndex(header, NamedEntries.of({"x": BundleEntry(DataType.INT32, (1,), 0, 0, 4, 0)})), bytes(4)
        )
    parts = sources(folder)
    with pytest.raises(InvalidArgumentError, match="byte orders or versions differ"):
        merge([*parts, other], folder.child("ckpt"))
    assert keys(folder.child("ckpt")) == set()
    merge([alone], folder.child("ckpt"))
    found, _ = folder.store.get(index_filename(folder.child("ckpt").key))
    assert decode_index(found, "index").header == header


def test_slices_that_overlap_are_refused_before_anything_is_copied(folder: Location) -> None:
    """Each source is whole, and what they make together could not be read."""
    overlapping = [PARTS[0], {"w": SlicedTensor((4, 3), {((1, 2), (0, None)): MATRIX[1:3]})}]
    parts, store = sources(folder, overlapping), operations_of(folder)
    before = [keys(part) for part in parts]
    with pytest.raises(InvalidArgumentError, match=r"tensor 'w'.*'4 3 0,2:-' and '4 3 1,2:-', which overlap") as caught:
        merge([Location(store, part.key) for part in parts], Location(store, folder.child("ckpt").key))
    assert caught.value.tensor == "w"
    assert {operation.partition(" ")[0] for operation in store.operations} <= {"get", "list", "stat"}
    assert [keys(part) for part in parts] == before


def test_slices_that_are_too_much_work_to_compare_are_refused(
    folder: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = sources(folder)
    before = [keys(part) for part in parts]
    monkeypatch.setattr(overlap, "MOST_WORK", 1)
    with pytest.raises(InvalidArgumentError, match=r"tensor 'w'.*2 slices.* too long"):
        merge(parts, folder.child("ckpt"))
    assert [keys(part) for part in parts] == before


def test_a_destination_among_the_sources_is_refused(folder: Location) -> None:
    parts = sources(folder)
    before = [keys(part) for part in parts]
    with pytest.raises(InvalidArgumentError, match="one of the checkpoints that are to be merged"):
        merge(parts, parts[1])
    assert [keys(part) for part in parts] == before


def test_v1_files_are_refused(folder: Location) -> None:
    old = folder.child("old")
    save_v1(old, {"x": np.zeros(2)})
    for allow_missing in (False, True):
        with pytest.raises(InvalidArgumentError, match="in the V1 format"):
            merge([*sources(folder), old], folder.child("ckpt"), allow_missing=allow_missing)
    assert keys(folder.child("ckpt")) == set()


@pytest.mark.parametrize("allow_missing", [False, True])
def test_no_sources_are_refused(folder: Location, allow_missing: bool) -> None:
    for parts in ([], [folder.child("nothing")]):
        with pytest.raises(InvalidArgumentError, match="nothing can be merged into"):
            merge(parts, folder.child("ckpt"), allow_missing=allow_missing)


def test_one_file_of_a_checkpoint_is_no_source(folder: Location) -> None:
    with pytest.raises(CheckpointPathError):
        merge([folder.child("part-0.index")], folder.child("ckpt"))


def test_a_source_that_is_not_whole_is_refused(folder: Location) -> None:
    parts = sources(folder)
    folder.store.delete([*list_prefix(parts[1]).data])
    with pytest.raises(CheckpointDamagedError):
        merge(parts, folder.child("ckpt"), allow_missing=True)
    assert keys(folder.child("ckpt")) == set()
    assert len(keys(parts[0])) == 2


@pytest.mark.parametrize("server_side_copy", [True, False])
@pytest.mark.parametrize("error", [ObjectChangedError, ObjectNotFoundError])
def test_a_source_that_changes_meanwhile_is_not_mixed_in(
    folder: Location, server_side_copy: bool, error: type[Exception]
) -> None:
    parts = sources(folder)
    store = operations_of(folder, server_side_copy=server_side_copy)
    listing, found = store.list, list_prefix(parts[0]).data

    def changed_at_last(prefix: str) -> Any:
        if prefix.endswith("ckpt."):
            folder.store.delete([*found])
            if error is ObjectChangedError:
                for key, info in found.items():
                    folder.store.put(key, bytes(info.size), Always(), crc32c=crc32c(bytes(info.size)))
        return listing(prefix)

    store.list = changed_at_last  # type: ignore[method-assign]
    with pytest.raises(error):
        merge([Location(store, part.key) for part in parts], Location(store, folder.child("ckpt").key))
    assert keys(folder.child("ckpt")) == set()
    assert all(list_prefix(part).index is not None for part in parts)


def test_another_writer_at_the_destination_wins(folder: Location) -> None:
    parts, place = sources(folder), folder.child("ckpt")
    store = operations_of(folder)
    copy = store.copy

    def overtaken(*args: Any, **options: Any) -> Any:
        if list_prefix(place).index is None:
            save_tensors(place, {"theirs": np.zeros(1)}, reuse_names=False)
        return copy(*args, **options)

    store.copy = overtaken  # type: ignore[method-assign]
    with pytest.raises(CommitConflictError):
        merge([Location(store, part.key) for part in parts], Location(store, place.key))
    assert [*open_checkpoint(place).tensors] == ["theirs"]
    assert len(keys(place)) == 2
    assert all(len(keys(part)) == 2 for part in parts)


def test_a_store_that_can_not_compare_refuses_to_replace(folder: Location) -> None:
    parts, place = sources(folder), folder.child("ckpt")
    save_tensors(place, {"old": np.zeros(1)})
    weak = Location(operations_of(folder, replace_if_version=False), place.key)
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite=True"):
        merge(parts, weak)
    merge(parts, weak, unsafe_overwrite=True)
    check(place)


@pytest.mark.parametrize("delete_if_version", [True, False])
def test_a_source_that_is_saved_anew_meanwhile_stays(folder: Location, delete_if_version: bool) -> None:
    """Also where the store deletes without a condition, as S3 does."""
    parts, place = sources(folder), folder.child("ckpt")
    store = operations_of(folder, delete_if_version=delete_if_version)
    put = store.put

    def overtaken(*args: Any, **options: Any) -> Any:
        save_tensors(parts[0], {"new": np.zeros(1)})
        return put(*args, **options)

    store.put = overtaken  # type: ignore[method-assign]
    merge([Location(store, part.key) for part in parts], Location(store, place.key))
    check(place)
    assert keys(parts[1]) == set()
    assert open_checkpoint(parts[0]).read_named(["new"])["new"].tolist() == [0]


def test_sources_that_can_not_be_deleted_are_no_failure(folder: Location, caplog: pytest.LogCaptureFixture) -> None:
    parts = sources(folder)
    store = operations_of(folder)

    def refuse(*_: Any) -> None:
        raise StorageError("read only")

    store.delete_if_version = refuse  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        merge([Location(store, part.key) for part in parts], folder.child("ckpt"))
    check(folder.child("ckpt"))
    assert caplog.text.count("was merged, and stays: read only") == 2
