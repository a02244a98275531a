"""`get_checkpoint_mtimes`, on every store."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.errors import CheckpointPathError, PermissionDeniedError
from cloudckpt.testing.faults import FaultyStore
from tests.state.places import STORES, Place, fresh_place

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Place:
    return fresh_place(request.param, request)


def mtimes(place: Place, *names: str) -> list[float]:
    return train.get_checkpoint_mtimes([place / name for name in names], storage_options=place.options)


def test_the_times_of_those_that_are_there_in_their_order(place: Place) -> None:
    for name in ("m-2", "m-1"):
        ckpt.save(place / name, {"w": np.ones(1)}, storage_options=place.options)
        time.sleep(0.01)
    second, first = mtimes(place, "m-2", "gone", "m-1")
    assert [first, second] == mtimes(place, "m-1", "m-2")
    assert abs(first - time.time()) < 3600
    assert second <= first
    assert mtimes(place) == mtimes(place, "gone") == []


def test_a_file_and_shards_of_version_1(place: Place) -> None:
    for name in ("m-1", "m-2-00000-of-00002", "m-2-00001-of-00002"):
        place.write(name)
    assert len(mtimes(place, "m-1", "m-2-?????-of-00002", "m-2-?????-of-00003", "m-2")) == 2


def set_time(path: Path, seconds: float) -> None:
    os.utime(path, (seconds, seconds))


def test_of_local_files_it_is_the_mtime(tmp_path: Path) -> None:
    for number, name in enumerate(("m.index", "v1", "s-00000-of-00002", "s-00001-of-00002")):
        (tmp_path / name).write_bytes(b"")
        set_time(tmp_path / name, 1e9 + number)
    names = ("m", "v1", "s-?????-of-00002", "s-00001-of-00002")
    assert mtimes(Place(str(tmp_path)), *names) == [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3]


def test_the_index_comes_before_a_file_of_the_same_name(tmp_path: Path) -> None:
    for name, seconds in (("m.index", 1e9), ("m", 2e9)):
        (tmp_path / name).write_bytes(b"")
        set_time(tmp_path / name, seconds)
    assert mtimes(Place(str(tmp_path)), "m") == [1e9]


def test_relative_and_path_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.index").write_bytes(b"")
    assert len(train.get_checkpoint_mtimes(["m", tmp_path / "m"])) == 2


def test_what_names_no_place_raises() -> None:
    with pytest.raises(CheckpointPathError):
        train.get_checkpoint_mtimes([""])


def test_a_store_that_does_not_answer_is_no_missing_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: object, key: str) -> None:
        raise PermissionDeniedError(f"{key}: not for you", path=key)

    monkeypatch.setattr("cloudckpt.storage.local.store.LocalStore.stat", denied)
    with pytest.raises(PermissionError):
        train.get_checkpoint_mtimes([tmp_path / "m"])


def test_many_prefixes_of_a_bucket_share_one_store(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudckpt.state import places

    opened: list[str] = []
    real = places.open_location

    def counted(path: str, options: object) -> object:
        opened.append(path)
        return real(path, None)

    monkeypatch.setattr(places, "open_location", counted)
    train.get_checkpoint_mtimes([f"memory://one/m-{step}" for step in range(5)])
    assert opened == ["memory://one/m-0"]


def test_what_it_costs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudckpt.state import places

    place = fresh_place("memory", request)
    ckpt.save(place / "m-1", {"w": np.ones(1)})
    with place.open() as directory:
        store = FaultyStore(directory.store, 0)
        monkeypatch.setattr(places, "open_location", lambda *_: type(directory)(store, f"{directory.key}/m-1"))
        mtimes(place, "m-1")
    assert store.operations == ["stat m-1.index"]
