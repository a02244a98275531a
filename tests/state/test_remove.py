"""`remove_checkpoint`, on every store: the index first, then what is the checkpoint's own, and nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import CheckpointPathError, StorageError
from cloudckpt.state import remove
from cloudckpt.storage.location import Location
from cloudckpt.testing.faults import FaultyStore

if TYPE_CHECKING:
    from typing import Any

    from tests.state.places import Place

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")

V1, V2 = 1, 2


def save(place: Place, name: str) -> None:
    ckpt.save(place / name, {"w": np.ones(3)}, storage_options=place.options)


def drop(place: Place, name: str, *arguments: Any, **options: Any) -> None:
    train.remove_checkpoint(place / name, *arguments, **options, storage_options=place.options)


def test_all_of_it_goes_and_no_more(place: Place) -> None:
    for name in ("m-1", "m-10", "m-1.x"):
        save(place, name)
    for name in ("m-1.meta", "m-10.meta", "checkpoint"):
        place.write(name)
    drop(place, "m-1")
    assert place.files == [
        "checkpoint",
        *(f"m-1.x{end}" for end in (".data-00000-of-00001", ".index")),
        *(f"m-10{end}" for end in (".data-00000-of-00001", ".index", ".meta")),
    ]
    drop(place, "m-1")


def test_files_of_version_1(place: Place) -> None:
    names = ["m-1", "m-1.meta", "m-2-00000-of-00002", "m-2-00001-of-00002", "m-2.meta", "m-2-00000-of-00003"]
    for name in (*names, "m-2-abcde-of-00002"):
        place.write(name)
    drop(place, "m-1", V1)
    drop(place, "m-2-?????-of-00002", V1)
    assert place.files == ["m-2-00000-of-00003", "m-2-abcde-of-00002"]


def test_another_suffix_of_the_meta_graph(memory: Place) -> None:
    save(memory, "m-1")
    memory.write("m-1.meta")
    memory.write("m-1.graph")
    drop(memory, "m-1", meta_graph_suffix="graph")
    assert memory.files == ["m-1.meta"]


def test_each_version_has_its_own_files(memory: Place) -> None:
    save(memory, "m-1")
    memory.write("m-1")
    before = memory.files
    drop(memory, "m-1", V1)
    assert memory.files == [name for name in before if name != "m-1"]
    memory.write("m-1")
    drop(memory, "m-1", V2)
    assert memory.files == ["m-1"]


@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("pattern", ["m-*", "m-?", "*", "m-[1]", "m-?-00000-of-00001"])
def test_no_pattern_deletes_anything(memory: Place, pattern: str, version: int) -> None:
    save(memory, "m-1")
    memory.write("m-1-00000-of-00001")
    before = memory.files
    drop(memory, pattern, version)
    assert memory.files == before


def test_data_that_no_index_names_stays(memory: Place) -> None:
    """It may be that of a save under way; a collector takes it when it is old."""
    save(memory, "m-1")
    memory.write("m-1.data-00000-of-00002")
    drop(memory, "m-1")
    assert memory.files == ["m-1.data-00000-of-00002"]
    memory.write("m-1.meta")
    drop(memory, "m-1")
    assert memory.files == ["m-1.data-00000-of-00002"]


def test_of_a_damaged_one_the_index_goes(memory: Place, caplog: pytest.LogCaptureFixture) -> None:
    save(memory, "m-1")
    memory.write("m-1.meta")
    memory.write("m-1.index", b"rubbish")
    with caplog.at_level(logging.WARNING, "cloudckpt"):
        drop(memory, "m-1")
    assert memory.files == ["m-1.data-00000-of-00001"]
    assert f"the data files of {memory / 'm-1'} stay behind" in caplog.text


@pytest.mark.parametrize("path", ["", "m-1.index", "m-1.data-00000-of-00001"])
def test_a_folder_or_one_file_is_refused(memory: Place, path: str) -> None:
    save(memory, "m-1")
    before = memory.files
    with pytest.raises(CheckpointPathError):
        drop(memory, path)
    assert memory.files == before


def faulty(memory: Place, name: str, fail_at: int, mode: Any, monkeypatch: pytest.MonkeyPatch) -> FaultyStore:
    """The store through which the next `remove_checkpoint` goes."""
    directory = memory.open()
    store = FaultyStore(directory.store, fail_at, mode)
    monkeypatch.setattr(remove, "open_prefix", lambda *_: Location(store, directory.child(name).key))
    return store


def test_the_index_goes_first(memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    save(memory, "m-1")
    store = faulty(memory, "m-1", 0, "before", monkeypatch)
    drop(memory, "m-1")
    assert store.operations == ["get m-1.index", "delete_if_version m-1.index", "delete m-1.data-00000-of-00001"]


@pytest.mark.parametrize("mode", ["before", "after", "during"])
@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_a_failure_leaves_it_whole_or_no_checkpoint(
    memory: Place, monkeypatch: pytest.MonkeyPatch, fail_at: int, mode: str
) -> None:
    save(memory, "m-1")
    before = memory.files
    faulty(memory, "m-1", fail_at, mode, monkeypatch)
    with pytest.raises(StorageError):
        drop(memory, "m-1")
    assert memory.files == before or "m-1.index" not in memory.files


def test_one_that_is_replaced_meanwhile_stays(memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    save(memory, "m-1")
    find = remove.find_doomed

    def find_and_lose(prefix: Location, **options: Any) -> Any:
        found = find(prefix, **options)
        save_tensors(prefix, {"w": np.zeros(3)})
        return found

    monkeypatch.setattr(remove, "find_doomed", find_and_lose)
    with pytest.raises(ckpt.StorageError):
        drop(memory, "m-1")
    assert ckpt.load(memory / "m-1")["w"].tolist() == [0, 0, 0]
