"""Containers of arrays that are handed over to be saved."""

from __future__ import annotations

import copy
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from cloudckpt.errors import StructureError
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.trackable.wrapping import OBJECTS, OBJECTS_AND_ARRAYS
from cloudckpt.variables.variable import Variable

Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - as programs have them


def children(container: Any) -> list[str]:
    return [*container.__children__()]


def test_arrays_in_containers_are_tracked() -> None:
    array = np.zeros(2)
    kept = OBJECTS_AND_ARRAYS.wrapped(
        {"list": [1, array], "tuple": (array, 2.5), "pair": Pair([array], "text"), "w": array, "v": Variable(1.0)}
    )
    assert children(kept) == ["list", "tuple", "pair", "w", "v"]
    assert [children(kept[name]) for name in ("list", "tuple", "pair")] == [["1"], ["0"], ["left", "0"]]
    assert kept["w"] is kept["list"][1] is kept["tuple"][0] is array
    kept["list"].append(array)
    kept["later"] = {"deep": [array]}
    assert [children(kept["list"]), children(kept["later"]["deep"])] == [["1", "2"], ["0"]]
    assert children(copy.deepcopy(kept)["tuple"]) == ["0"]


def test_in_attributes_they_are_not() -> None:
    array, root = np.zeros(2), Trackable()
    root.items = {"w": array, "list": [array], "tuple": (array,)}
    assert children(root.items) == ["list"]
    assert children(root.items["list"]) == []
    assert OBJECTS.wrapped(array) is array
    assert OBJECTS.wrapped((array,)) == (array,)


def test_a_module_in_a_container_tracks_as_ever() -> None:
    inner = Trackable()
    kept = OBJECTS_AND_ARRAYS.wrapped([inner])
    kept[0].array = np.zeros(2)
    assert children(inner) == []


@pytest.mark.parametrize("value", [1, "text", None, np.float32(1), np.int64(2), {1, 2}])
def test_numbers_are_passed_over_as_everywhere(value: Any) -> None:
    assert children(OBJECTS_AND_ARRAYS.wrapped([value])) == []


def test_arrays_that_can_not_be_restored_are_refused() -> None:
    array = np.zeros(2)
    array.flags.writeable = False
    for container in ([array], {"a": array}, (array,), {"a": {"b": (1, array)}}):
        with pytest.raises(StructureError, match=r"this numpy\.ndarray can't be assigned to"):
            OBJECTS_AND_ARRAYS.wrapped(container)
    kept = OBJECTS_AND_ARRAYS.wrapped([NoDependency(array), 1])
    assert children(kept) == []
    with pytest.raises(StructureError, match="can't be assigned to"):
        kept.append(array)
    with pytest.raises(StructureError, match="can't be assigned to"):
        kept[1] = array
    assert len(kept) == 2


def test_an_array_stays_where_it_is_as_any_object_does() -> None:
    kept = OBJECTS_AND_ARRAYS.wrapped([np.zeros(2)])
    kept[0] += 1
    assert children(kept) == ["0"]
    kept[0] = np.ones(2)
    with pytest.raises(StructureError, match="replaced, moved or removed"):
        children(kept)
