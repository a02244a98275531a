"""Lists in attributes: they act as lists, and track what they hold."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.errors import StructureError
from cloudckpt.variables.trackable.list_wrapper import ListWrapper
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable


def tracked(elements: list[Any]) -> ListWrapper:
    root = Trackable()
    root.elements = elements
    assert type(root.elements) is ListWrapper
    return root.elements


def children(elements: ListWrapper) -> dict[str, Any]:
    return dict(elements.__children__())


CHANGES: dict[str, Callable[[Any], Any]] = {
    "append": lambda it: it.append(5),
    "extend": lambda it: it.extend([5, 6]),
    "extend by itself": lambda it: it.extend(it),
    "+=": lambda it: it.__iadd__((5, 6)),
    "*= 3": lambda it: it.__imul__(3),
    "*= 0": lambda it: it.__imul__(0),
    "insert": lambda it: it.insert(1, 5),
    "insert far": lambda it: it.insert(99, 5),
    "set": lambda it: it.__setitem__(-1, 5),
    "set slice": lambda it: it.__setitem__(slice(1, 2), [7, 8, 9]),
    "set step": lambda it: it.__setitem__(slice(0, 3, 2), [7, 8]),
    "shrink": lambda it: it.__setitem__(slice(0, 3), ()),
    "delete": lambda it: it.__delitem__(0),
    "delete slice": lambda it: it.__delitem__(slice(1, None)),
    "pop": lambda it: it.pop(),
    "pop first": lambda it: it.pop(0),
    "remove": lambda it: it.remove(2),
    "reverse": lambda it: it.reverse(),
    "sort": lambda it: it.sort(key=lambda element: -element),
    "clear": lambda it: it.clear(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_changes_as_a_list_does(change: Callable[[Any], Any]) -> None:
    plain, given = [3, 1, 2], [3, 1, 2]
    elements = tracked(given)
    assert elements[:] == plain
    returned = change(plain)
    assert change(elements) == returned
    assert elements == plain
    assert given == plain
    assert list.__eq__(elements, plain)  # what C code sees
    assert children(elements) == {}


@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=12))
def test_it_changes_as_a_list_does_in_any_order(names: list[str]) -> None:
    plain, elements = [3, 1, 2], tracked([3, 1, 2])
    for name in names:
        if len(plain) < 100:
            assert outcome(CHANGES[name], elements) == outcome(CHANGES[name], plain)
            assert elements == plain
            assert list.__eq__(elements, plain)


def outcome(change: Callable[[Any], Any], elements: list[Any]) -> Any:
    try:
        return change(elements)
    except (IndexError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.pop(7),
        lambda it: it.__setitem__(7, Variable(1.0)),
        lambda it: it.__delitem__(7),
        lambda it: it.remove(7),
        lambda it: it.__setitem__(slice(0, 3, 2), [1]),
        lambda it: it.append(*[1, 2]),
    ],
)
def test_what_a_list_refuses_changes_nothing(change: Callable[[Any], Any]) -> None:
    elements = tracked([3, 1, 2])
    with pytest.raises((IndexError, ValueError, TypeError)):
        change(elements)
    assert elements == [3, 1, 2]
    assert children(elements) == {}


def test_it_can_be_asked_what_a_list_can() -> None:
    elements = tracked([3, 1, [2]])
    assert isinstance(elements, list)
    assert (len(elements), elements[0], elements[-1], elements[:2]) == (3, 3, [2], [3, 1])
    assert (elements.index(1), elements.count(3), 1 in elements, 7 in elements) == (1, 1, True, False)
    assert [*reversed(elements)] == [[2], 1, 3]
    assert [0].__add__(elements) == [0, *elements] == [0, 3, 1, [2]]
    assert elements.__add__([0]) == [3, 1, [2], 0]
    assert elements * 2 == 2 * elements == [3, 1, [2]] * 2
    assert type(elements.__add__([])) is type(elements * 1) is type(elements[:]) is type(elements.copy()) is list
    assert (elements == [3, 1, [2]], elements != [3], elements == tracked([3, 1, [2]])) == (True, True, True)
    assert tracked([1]) < tracked([2]) <= [2]
    assert json.dumps(elements) == "[3, 1, [2]]"
    assert np.array(tracked([1, 2])).tolist() == [1, 2]
    assert repr(elements) == "ListWrapper([3, 1, ListWrapper([2])])"
    assert not tracked([])
    with pytest.raises(TypeError, match="unhashable"):
        hash(elements)


def test_elements_are_tracked_by_their_indices() -> None:
    first, later = Variable(1.0), Variable(2.0)
    elements = tracked([7, first, [later], "text"])
    assert children(elements) == {"1": first, "2": elements[2]}
    assert children(elements[2]) == {"0": later}
    elements += [later]
    elements.append({"a": first})
    assert [*children(elements)] == ["1", "2", "4", "5"]
    assert children(elements[5]) == {"a": first}


def test_what_stood_for_nothing_may_be_replaced() -> None:
    elements = tracked([7, 8])
    elements[1] = variable = Variable(1.0)
    elements[0:0] = []
    assert children(tracked([7, 8])) == {}
    elements = tracked([7, 8])
    elements[1] = variable
    assert children(elements) == {"1": variable}
    elements = tracked([7, 8])
    elements[:1] = [variable, 9]
    assert children(elements) == {"0": variable}


def test_elements_that_are_kept_out() -> None:
    variable, plain = Variable(1.0), [1]
    elements = tracked([NoDependency(variable), 1])
    elements.append(NoDependency(plain))
    elements.insert(0, NoDependency(variable))
    assert children(elements) == {}
    assert elements[0] is elements[1] is variable
    assert elements[3] is plain


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.__setitem__(0, Variable(1.0)),
        lambda it: it.__setitem__(0, 1),
        lambda it: it.__setitem__(slice(1, 2), [1]),
        lambda it: it.__delitem__(1),
        lambda it: it.insert(2, 1),
        lambda it: it.pop(),
        lambda it: it.reverse(),
        lambda it: it.sort(key=id),
        lambda it: it.clear(),
        lambda it: it.__imul__(0),
    ],
)
def test_objects_must_stay_where_they_are(change: Callable[[Any], Any]) -> None:
    elements = tracked([Variable(1.0), 2])
    change(elements)
    for same in (elements, copy.copy(elements), copy.deepcopy(elements)):
        with pytest.raises(StructureError, match=r"can't be saved: some of the objects in it were replaced"):
            children(same)


@pytest.mark.parametrize("value", [Variable(1.0), [1], {}, (Variable(1.0),)])
def test_objects_are_not_inserted(value: Any) -> None:
    """Of a list that is inserted TensorFlow saves nothing, without a word."""
    elements = tracked([2])
    elements.insert(0, value)
    with pytest.raises(StructureError, match="replaced, moved or removed"):
        children(elements)


def test_a_list_that_was_changed_by_another_name_is_not_saved() -> None:
    given = [Variable(1.0)]
    elements = tracked(given)
    given.append(Variable(2.0))
    assert len(elements) == 2
    with pytest.raises(StructureError, match="changed by another name"):
        children(elements)
    elements.append(Variable(3.0))
    with pytest.raises(StructureError, match="changed by another name"):
        children(elements)


def test_a_change_by_another_name_that_was_undone() -> None:
    given = [Variable(1.0)]
    elements = tracked(given)
    given.append(Variable(2.0))
    given.pop()
    elements.append(Variable(3.0))
    assert [*children(elements)] == ["0", "1"]


def test_what_waits_for_an_element_gets_it() -> None:
    elements, got = tracked([Variable(1.0)]), []
    elements.__tracking__.adopt("1", got.append)
    elements.__tracking__.adopt("2", got.append)
    elements.extend([Variable(2.0), 3])
    assert got == [elements[1]]
    elements[2] = [4]
    assert got == [elements[1], elements[2]]


def test_it_is_extended_by_the_list_that_it_acts_upon() -> None:
    given = [Variable(1.0)]
    elements = tracked(given)
    elements += given
    assert elements == given == [given[0], given[0]]
    assert [*children(elements)] == ["0", "1"]


def test_appending_to_a_long_list_takes_time_in_proportion() -> None:
    elements = tracked([])
    for _ in range(100_000):
        elements.append(1)
    while elements:
        elements.pop()
    assert children(elements) == {}
