"""Deleting one save of a prefix: the index first, then what it named, and nothing else."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.delete import delete_checkpoint, find_doomed
from cloudckpt.errors import PreconditionFailedError, StorageError
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from cloudckpt.testing.faults import FaultyStore
from tests.checkpoint.test_commit import limited


@pytest.fixture
def place() -> Location:
    place = open_location(f"memory://{uuid.uuid4().hex}/ckpt")
    save_tensors(place, {"a": np.ones(3)})
    return place


def keys(place: Location) -> list[str]:
    return [info.key.rpartition("/")[2] for info in place.store.list(f"{place.key}.")]


def delete(place: Location) -> None:
    doomed = find_doomed(place)
    assert doomed is not None
    delete_checkpoint(doomed)


def test_the_index_goes_first(place: Location) -> None:
    store = FaultyStore(place.store, 0)
    delete(Location(store, place.key))
    assert store.operations == ["get ckpt.index", "delete_if_version ckpt.index", "delete ckpt.data-00000-of-00001"]
    assert keys(place) == []


def test_a_store_without_versions_deletes_too(place: Location) -> None:
    delete(limited(place, delete_if_version=False))
    assert keys(place) == []


def test_side_files_go_and_strangers_stay(place: Location) -> None:
    for name in ("meta", "data-00001-of-00002", "x.index"):
        place.store.put(f"{place.key}.{name}", b"", Always(), crc32c=0)
    delete(place)
    assert keys(place) == ["ckpt.data-00001-of-00002", "ckpt.x.index"]


def test_nothing_there_is_nothing_to_delete(place: Location) -> None:
    delete(place)
    assert find_doomed(place) is None


def test_what_was_replaced_meanwhile_stays(place: Location) -> None:
    doomed = find_doomed(place)
    assert doomed is not None
    save_tensors(place, {"a": np.zeros(3)})
    before = keys(place)
    with pytest.raises(PreconditionFailedError):
        delete_checkpoint(doomed)
    assert keys(place) == before


@pytest.mark.parametrize("mode", ["before", "after", "during"])
@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_a_failure_leaves_it_whole_or_without_an_index(place: Location, fail_at: int, mode: str) -> None:
    before = keys(place)
    with pytest.raises(StorageError):
        delete(Location(FaultyStore(place.store, fail_at, mode), place.key))  # type: ignore[arg-type]
    assert keys(place) == before or "ckpt.index" not in keys(place)
