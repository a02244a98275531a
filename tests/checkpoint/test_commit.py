"""Committing one checkpoint: which requests in which order, under which names, and what is left of the old one."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint import commit, standing
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.delete import delete_checkpoint, find_doomed
from cloudckpt.checkpoint.names import choose_names
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checksums import crc32c
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointPathError,
    CommitConflictError,
    StorageError,
    StructureError,
    UnsupportedOperationError,
)
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudckpt.storage.store import Capabilities

OLD, NEW = {"a": np.zeros(3)}, {"a": np.ones(3)}


@pytest.fixture
def place() -> Location:
    return open_location(f"memory://{uuid.uuid4().hex}/ckpt")


class LimitedStore(FaultyStore):
    """A store that can do less than the one it works on."""

    limits: Mapping[str, bool]

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, **self.limits)


def limited(place: Location, **limits: bool) -> Location:
    store = LimitedStore(place.store, 0)
    store.limits = limits
    return Location(store, place.key)


def operations(place: Location, action: Any) -> list[str]:
    store = FaultyStore(place.store, 0)
    action(Location(store, place.key))
    return store.operations


def value(place: Location) -> list[float]:
    found: list[float] = open_checkpoint(place).read_named(["a"])["a"].tolist()
    return found


def keys(place: Location) -> set[str]:
    files = list_prefix(place)
    return {*files.data} | ({files.index.key} if files.index else set())


def test_the_requests_of_a_fresh_save(place: Location) -> None:
    data = "ckpt.data-00000-of-00001"
    assert operations(place, lambda p: save_tensors(p, NEW)) == [
        "list ckpt.",
        f"create {data}",
        f"write {data}",
        f"complete {data}",
        "put ckpt.index",
    ]


def test_the_requests_of_an_overwrite(place: Location) -> None:
    save_tensors(place, OLD)
    found = operations(place, lambda p: save_tensors(p, NEW))
    assert [operation.partition(" ")[0] for operation in found] == [
        "list", "get", "create", "write", "complete", "put", "delete"
    ]  # fmt: skip
    assert found[1] == "get ckpt.index"
    assert found[-1] == "delete ckpt.data-00000-of-00001"
    assert value(place) == [1, 1, 1]


def test_what_a_save_returns(place: Location) -> None:
    saved = save_tensors(place, NEW)
    assert saved.prefix == place.url
    assert saved.index == list_prefix(place).index
    assert set(saved.data_files) == {*list_prefix(place).data}


def test_names_are_never_used_again_while_a_file_is_there(place: Location) -> None:
    seen: set[str] = set()
    for _ in range(10):
        data = set(save_tensors(place, NEW).data_files)
        assert not data & seen
        assert keys(place) == {*data, f"{place.key}.index"}
        seen |= data


@pytest.mark.parametrize("left", ["data-00000-of-00001", "data-00007-of-00009", "index"])
def test_any_file_that_was_left_makes_names_random(place: Location, left: str) -> None:
    place.store.put(f"{place.key}.{left}", b"", Always(), crc32c=0)
    (data,) = save_tensors(place, NEW).data_files
    assert int(data[-5:]) >= 10_000
    assert value(place) == [1, 1, 1]
    assert left == "index" or f"{place.key}.{left}" in keys(place)


def test_names_may_be_random_from_the_start(place: Location) -> None:
    (data,) = save_tensors(place, NEW, reuse_names=False).data_files
    assert int(data[-5:]) >= 10_000


def test_an_emptied_prefix_is_fresh_again(place: Location) -> None:
    (first,) = save_tensors(place, OLD).data_files
    doomed = find_doomed(place)
    assert doomed is not None
    delete_checkpoint(doomed)
    assert save_tensors(place, NEW).data_files == (first,)


def test_exactly_the_files_that_the_old_index_named_are_deleted(place: Location) -> None:
    (old,) = save_tensors(place, OLD).data_files
    strangers = [f"{place.key}.{name}" for name in ("data-00001-of-00002", "data-00005-of-12345", "meta", "x.index")]
    for stranger in strangers:
        place.store.put(stranger, b"", Always(), crc32c=0)
    (new,) = save_tensors(place, NEW).data_files
    left = {info.key for info in place.store.list(f"{place.key}.")}
    assert left == {new, f"{place.key}.index", *strangers}
    assert old not in left


def test_new_data_never_gets_a_name_that_the_old_index_knows(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not of a file that is lost: it would be deleted with the old checkpoint's."""
    (old,) = save_tensors(place, OLD, reuse_names=False).data_files
    place.store.delete([old])
    seen: set[str] = set()

    def watched(*args: Any, taken: set[str], **rest: Any) -> Any:
        seen.update(taken)
        return choose_names(*args, taken=taken, **rest)

    monkeypatch.setattr(standing, "choose_names", watched)
    save_tensors(place, NEW)
    assert seen == {old}


def test_an_old_index_that_can_not_be_read_leaves_its_data(place: Location, caplog: pytest.LogCaptureFixture) -> None:
    (old,) = save_tensors(place, OLD).data_files
    place.store.put(f"{place.key}.index", b"damaged", Always(), crc32c=crc32c(b"damaged"))
    with caplog.at_level(logging.WARNING):
        save_tensors(place, NEW)
    assert "so its data files stay behind" in caplog.text
    assert value(place) == [1, 1, 1]
    assert old in keys(place)


def test_a_store_that_takes_bytes_in_order_gets_several_files(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "SHARD_BYTES", 1000)
    arrays = {f"w{number}": np.full(100, number, np.uint8) for number in range(35)}
    saved = save_tensors(limited(place, parallel_upload=False), arrays)
    assert [key[-14:] for key in saved.data_files] == [f"00000{shard}-of-00003"[1:] for shard in range(3)]
    loaded = open_checkpoint(place).read_named(arrays)
    assert all(loaded[name].tolist() == array.tolist() for name, array in arrays.items())
    again = save_tensors(limited(place, parallel_upload=False), arrays)
    assert len(again.data_files) == 3
    assert keys(place) == {*again.data_files, f"{place.key}.index"}


@pytest.mark.parametrize("parallel_upload", [True, False])
def test_as_many_data_files_as_are_asked_for(place: Location, parallel_upload: bool) -> None:
    arrays = {f"w{number}": np.full(100, number, np.uint8) for number in range(35)}
    store = limited(place, parallel_upload=parallel_upload)
    for _ in range(2):
        saved = save_tensors(store, arrays, shards=7, alignment=1)
        assert [info.size for info in list_prefix(place).data.values()] == [500] * 7
        assert keys(place) == {*saved.data_files, saved.index.key}
        loaded = open_checkpoint(place).read_named(arrays)
        assert all(loaded[name].tolist() == array.tolist() for name, array in arrays.items())


def test_a_store_that_can_not_compare_refuses_to_replace(place: Location) -> None:
    weak = limited(place, replace_if_version=False, delete_if_version=False)
    save_tensors(weak, OLD)
    before = keys(place)
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite=True"):
        save_tensors(weak, NEW)
    assert keys(place) == before
    assert value(place) == [0, 0, 0]
    save_tensors(weak, NEW, unsafe_overwrite=True)
    assert value(place) == [1, 1, 1]
    assert len(keys(place)) == 2


def test_a_conflict_names_the_prefix_and_the_remedy(place: Location) -> None:
    store = FaultyStore(place.store, 0)
    racing = Location(store, place.key)
    inner_list = store.list

    def list_then_lose(prefix: str) -> Any:
        found = [*inner_list(prefix)]
        save_tensors(place, OLD)
        return iter(found)

    store.list = list_then_lose  # type: ignore[method-assign]
    with pytest.raises(CommitConflictError, match="restore what is there, and save again") as caught:
        save_tensors(racing, NEW)
    assert caught.value.path == place.url
    assert caught.value.committed is None
    assert value(place) == [0, 0, 0]
    assert len(keys(place)) == 2


@pytest.mark.parametrize(
    ("tensors", "error"),
    [
        ({"": np.zeros(1)}, StructureError),
        ({"\0a": np.zeros(1)}, StructureError),
        ({"\ud800": np.zeros(1)}, StructureError),
        ({"a": np.array(["\ud800"])}, StructureError),
        ({"a": np.zeros(1, "M8[s]")}, TypeError),
        ({"a": np.array([1], object)}, TypeError),
    ],
    ids=["no name", "null", "surrogate", "text", "dtype", "object"],
)
def test_what_can_not_be_held_is_refused_before_any_request(
    place: Location, tensors: dict[str, Any], error: type[Exception]
) -> None:
    store = FaultyStore(place.store, 0)
    with pytest.raises(error):
        save_tensors(Location(store, place.key), tensors)
    assert store.operations == []


def test_one_file_of_a_checkpoint_is_refused_before_any_request(place: Location) -> None:
    store = FaultyStore(place.store, 0)
    with pytest.raises(CheckpointPathError):
        save_tensors(Location(store, f"{place.key}.index"), NEW)
    assert store.operations == []


@pytest.mark.parametrize("names", [[], ["a"]], ids=["none", "empty"])
def test_a_checkpoint_without_bytes(place: Location, names: list[str]) -> None:
    for _ in range(2):
        save_tensors(place, {name: np.empty((0, 3)) for name in names})
        assert [*open_checkpoint(place).tensors] == names
        assert len(keys(place)) == 1 + len(names)


def test_names_that_are_no_utf8_are_kept(place: Location) -> None:
    save_tensors(place, {"\udcff": np.zeros(1), "é": np.zeros(2), "z": np.zeros(3)})
    data, _ = place.store.get(f"{place.key}.index")
    assert [*decode_index(data, "ckpt.index").entries] == ["z", "é", "\udcff"]


def test_a_damaged_index_deletes_nothing(place: Location) -> None:
    save_tensors(place, OLD)
    place.store.put(f"{place.key}.index", b"damaged", Always(), crc32c=crc32c(b"damaged"))
    before = keys(place)
    with pytest.raises(CheckpointDamagedError):
        find_doomed(place)
    assert keys(place) == before


@pytest.mark.parametrize("failing", ["create", "write", "complete", "put"])
def test_of_several_data_files_none_is_left_by_a_failure(
    place: Location, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr(commit, "SHARD_BYTES", 1000)
    arrays = {f"w{number}": np.full(100, number, np.uint8) for number in range(35)}
    whole = LimitedStore(place.store, 0)
    whole.limits = {"parallel_upload": False}
    save_tensors(Location(whole, place.key), arrays)
    steps = [number for number, step in enumerate(whole.operations, 1) if step.startswith(failing)]
    for fail_at in steps:
        place.store.delete(keys(place))
        store = LimitedStore(place.store, fail_at, error=StorageError("an injected fault"))
        store.limits = whole.limits
        with pytest.raises(StorageError, match="an injected fault"):
            save_tensors(Location(store, place.key), arrays)
        assert keys(place) == set()
