"""A save whose tensors are grouped by data file: one commit of all of them."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

from cloudckpt.checkpoint.commit import save_groups, save_tensors
from cloudckpt.checkpoint.reader import open_checkpoint
from cloudckpt.checkpoint.sliced_tensor import SlicedTensor
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.storage.open import Location, open_location
from cloudckpt.testing.faults import FaultyStore

ROWS = np.arange(12.0).reshape(4, 3)


@pytest.fixture
def place() -> Location:
    return open_location(f"memory://{uuid.uuid4().hex}/ckpt")


def rows(start: int, stop: int) -> SlicedTensor:
    return SlicedTensor((4, 3), {((start, stop - start), (0, None)): ROWS[start:stop]})


def names(place: Location) -> list[str]:
    return [info.key.rpartition("/")[2] for info in place.store.list(place.key)]


def read(place: Location) -> dict[str, Any]:
    checkpoint = open_checkpoint(place)
    return {name: array.tolist() for name, array in checkpoint.read_named(checkpoint.tensors).items()}


def test_each_group_is_a_data_file_in_their_order(place: Location) -> None:
    saved = save_groups(place, [{"z": np.ones(2)}, {"a": np.zeros(3), "b": np.ones(1)}])
    assert names(place) == ["ckpt.data-00000-of-00002", "ckpt.data-00001-of-00002", "ckpt.index"]
    assert read(place) == {"z": [1, 1], "a": [0, 0, 0], "b": [1]}
    assert saved.index.version == place.store.stat(f"{place.key}.index").version
    assert [place.store.stat(key).size for key in saved.data_files] == [16, 32]


def test_slices_of_one_tensor_are_in_several_groups(place: Location) -> None:
    save_groups(place, [{"w": rows(0, 1)}, {"w": rows(1, 4), "b": np.ones(1)}])
    assert read(place) == {"w": ROWS.tolist(), "b": [1]}


def test_a_group_without_tensors_has_no_file(place: Location) -> None:
    save_groups(place, [{}, {"a": np.ones(1)}, {}])
    assert names(place) == ["ckpt.data-00000-of-00001", "ckpt.index"]
    save_groups(place.child("none"), [{}])
    assert read(place.child("none")) == {}


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ([{"a": np.ones(1)}, {"a": np.ones(1)}], "already"),
        ([{"w": rows(0, 2)}, {"w": rows(0, 2)}], "already"),
        ([{"w": rows(0, 2)}, {"w": rows(1, 4)}], "overlap"),
        ([{"w": rows(0, 2)}, {"w": ROWS}], "already"),
        ([{"w": rows(0, 2)}, {"w": SlicedTensor((5, 3), {((2, 1), (0, 3)): ROWS[:1]})}], "shape"),
        ([{"w": rows(0, 2)}, {"w": SlicedTensor((4, 3), {((2, 1), (0, 3)): np.zeros((1, 3), np.int8)})}], "dtype"),
    ],
)
def test_groups_that_do_not_fit_together_are_refused_before_any_request(
    place: Location, groups: list[dict[str, Any]], found: str
) -> None:
    store = FaultyStore(place.store, 0)
    with pytest.raises(InvalidArgumentError, match=found):
        save_groups(Location(store, place.key), groups)
    assert store.operations == []


def test_replacing_takes_other_names_and_one_step(place: Location) -> None:
    save_tensors(place, {"old": np.ones(3)})
    save_groups(place, [{"a": np.ones(1)}, {"b": np.ones(1)}])
    assert read(place) == {"a": [1], "b": [1]}
    left = names(place)
    assert len(left) == 3
    assert "ckpt.data-00000-of-00001" not in left


def test_every_operation_of_a_save_in_groups_may_fail(place: Location) -> None:
    save_tensors(place, {"old": np.ones(3)})
    groups = [{"a": np.ones(1)}, {"b": np.ones(1)}]
    number, done = 0, False
    while not done:
        number += 1
        store = FaultyStore(place.store, number)
        try:
            save_groups(Location(store, place.key), groups)
            done = not store.failed
        except OSError:
            assert read(place) in ({"old": [1, 1, 1]}, {"a": [1], "b": [1]})
    assert read(place) == {"a": [1], "b": [1]}
    assert number > 6
