"""From a `var_list` to what is saved: names, order, parts, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec, VariableSaveable
from cloudckpt.saver.saveables import saveables_of
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.partitions.partitioners import fixed_size_partitioner
from cloudckpt.variables.scopes.get_variable import get_variable
from cloudckpt.variables.variable import Variable


def variable(name: str, size: int = 2) -> Variable:
    return Variable(np.zeros(size, np.float32), name=name)


def partitioned(name: str, parts: int = 2) -> Any:
    with Graph().as_default():
        return get_variable(name, [4, 3], partitioner=fixed_size_partitioner(parts))


def described(var_list: Any) -> list[tuple[str, str]]:
    return [(spec.name, spec.slice_spec) for saveable in saveables_of(var_list) for spec in saveable.specs]


def part(name: str) -> Variable:
    first: Variable = next(iter(partitioned(name)))
    return first


class Pair(SaveableObject):
    """Two tensors of one object."""

    def __init__(self, name: str, op: Any = None) -> None:
        specs = [SaveSpec(np.zeros(2), "", f"{name}/{part}") for part in ("left", "right")]
        super().__init__(op, specs, name)


def test_a_list_goes_by_the_variables_own_names_in_their_order() -> None:
    assert described([variable("w"), variable("b"), variable("scope/a")]) == [("b", ""), ("scope/a", ""), ("w", "")]


def test_tuples_sets_and_nested_lists_are_lists() -> None:
    a, b, c = variable("a"), variable("b"), variable("c")
    assert described(((a, [b]), {"ignored": c})) == described({a, b, c}) == described([a, b, c])


def test_a_dict_goes_by_its_keys() -> None:
    assert described({"z": variable("w"), "a": variable("b")}) == [("a", ""), ("z", "")]


def test_what_has_no_name_goes_by_the_key_of_a_dict() -> None:
    assert described({"array": np.zeros(3)}) == [("array", "")]


def test_a_saveable_object_goes_by_its_own_names() -> None:
    assert described({"k": Pair("pair")}) == described([Pair("pair")]) == [("pair/left", ""), ("pair/right", "")]


def test_a_partitioned_variable_is_saved_as_the_slices_of_one() -> None:
    whole = partitioned("w")
    slices = [("w", "4 3 0,2:0,3"), ("w", "4 3 2,2:0,3")]
    assert described([whole]) == described([*whole]) == slices
    assert described({"x": whole}) == described({"x": [*whole]}) == [("x", spec) for _, spec in slices]


def test_a_single_part_of_a_list_is_a_slice_and_of_a_dict_a_variable() -> None:
    second = [*partitioned("w")][1]
    assert described([second]) == [("w", "4 3 2,2:0,3")]
    assert described({"x": second}) == [("x", "")]


def test_nothing_is_no_saveables() -> None:
    assert saveables_of([]) == saveables_of({}) == []


class Nameless:
    """What is no variable."""


REFUSED_TYPES: dict[str, Any] = {
    "a generator": (each for each in ()),
    "a variable by itself": variable("w"),
    "a partitioned variable by itself": partitioned("w"),
    "a number": [3],
    "a text": ["w"],
    "None": [None],
    "None in a dict": {"w": None},
    "an object": {"w": Nameless()},
    "a key that is no text": {1: variable("w")},
    "an array without a name": [np.zeros(2)],
    "an array of dates": {"w": np.zeros(2, "M8[s]")},
}


@pytest.mark.parametrize("case", REFUSED_TYPES)
def test_what_can_not_be_saved_is_a_type_error(case: str) -> None:
    with pytest.raises(TypeError):
        saveables_of(REFUSED_TYPES[case])


def twice(first: Any, second: Any = None) -> dict[str, Any]:
    return {"first": first, "second": first if second is None else second}


SHARED = variable("shared")
REFUSED_VALUES: dict[str, tuple[Any, str]] = {
    "a name twice": ([variable("w"), variable("w")], "the same name: 'w'"),
    "a variable twice": ([SHARED, SHARED], "the same name: 'shared'"),
    "a variable under two names": (twice(SHARED), "'first' and as 'second'"),
    "a variable, and a saveable object of it": ({"a": SHARED, "b": Pair("pair", SHARED)}, "'a' and as 'pair'"),
    "saveable objects of one name": ([Pair("pair"), Pair("pair")], "the same name: 'pair'"),
    "tensors of one name": ({"pair/left": variable("w"), "pair": Pair("pair")}, "the same name: 'pair/left'"),
    "a part twice": ({"w": [part("w")] * 2}, "one variable is given twice"),
    "a part and its whole": ([(whole := partitioned("w")), next(iter(whole))], "the same name: 'w'"),
    "a variable with a part's name": ([variable("w"), part("w")], "the same name: 'w'"),
    "whole variables as parts": ({"w": [variable("a"), variable("b")]}, "must be parts of one"),
    "parts of two variables": ({"w": [part("a"), [*partitioned("b")][1]]}, "of several variables"),
}


@pytest.mark.parametrize("case", REFUSED_VALUES)
def test_names_and_variables_that_are_not_unique_are_a_value_error(case: str) -> None:
    var_list, found = REFUSED_VALUES[case]
    with pytest.raises(InvalidArgumentError, match=found) as raised:
        saveables_of(var_list)
    assert isinstance(raised.value, ValueError)


def test_several_objects_may_stand_for_nothing() -> None:
    assert len(saveables_of([Pair("a"), Pair("b")])) == 2


def test_a_callable_needs_its_dtype_and_device() -> None:
    with pytest.raises(AssertionError, match="give its dtype and device"):
        SaveSpec(lambda: np.zeros(2), "", "w")
    spec = SaveSpec(lambda: np.zeros(2), "", "w", np.float64, "/cpu:0")
    assert (spec.dtype.name, spec.device, spec.tensor.shape) == ("float64", "/cpu:0", (2,))


def test_a_spec_takes_dtype_and_device_from_its_tensor() -> None:
    spec = SaveSpec(Variable(np.zeros(2, np.int16), name="w", device="/device:CPU:1"), "", "w")
    assert (spec.dtype.name, spec.device) == ("int16", "/device:CPU:1")


def test_a_saveable_object_has_the_device_of_its_tensors() -> None:
    specs = [SaveSpec(np.zeros(2), "", "w", device="/device:GPU:0")]
    assert SaveableObject(None, specs, "w").device == "/device:GPU:0"


def test_a_saveable_object_without_restore_can_not_be_restored() -> None:
    with pytest.raises(ValueError, match="does not define restore"):
        Pair("pair").restore([np.zeros(2), np.zeros(2)], None)


def test_a_variable_saveable_restores_the_variables_own_value() -> None:
    w = variable("w", 4)
    saveable = VariableSaveable(w, "", "w")
    saveable.restore([np.arange(4, dtype=np.float32)], None)
    assert w.numpy().tolist() == [0, 1, 2, 3]
    saveable.restore([np.ones((2, 2), np.float32)], [(4,)])
    assert w.numpy().tolist() == [1, 1, 1, 1]


def test_a_variable_saveable_is_of_a_variable() -> None:
    with pytest.raises(TypeError, match="is no variable"):
        VariableSaveable(3, "", "w")
