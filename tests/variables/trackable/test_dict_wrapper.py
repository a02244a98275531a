"""Dicts in attributes: they act as dicts, and track what they hold."""

from __future__ import annotations

import copy
import json
from collections import Counter, OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.errors import StructureError
from cloudckpt.variables.trackable.dict_wrapper import DictWrapper
from cloudckpt.variables.trackable.list_wrapper import ListWrapper
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable


def tracked(items: dict[Any, Any]) -> DictWrapper:
    root = Trackable()
    root.items = items
    assert type(root.items) is DictWrapper
    return root.items


def children(items: DictWrapper) -> dict[str, Any]:
    return dict(items.__children__())


CHANGES: dict[str, Callable[[Any], Any]] = {
    "set": lambda d: d.__setitem__("a", 5),
    "set new": lambda d: d.__setitem__(7, 5),
    "delete": lambda d: d.__delitem__("a"),
    "pop": lambda d: d.pop("a"),
    "pop missing": lambda d: d.pop("z", 3),
    "popitem": lambda d: d.popitem(),
    "clear": lambda d: d.clear(),
    "update": lambda d: d.update({"a": 5}, z=6),
    "|=": lambda d: d.__ior__({"z": 5}),
    "|= pairs": lambda d: d.__ior__([("z", 5)]),
    "setdefault": lambda d: d.setdefault("a", 5),
    "setdefault new": lambda d: d.setdefault("z"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_changes_as_a_dict_does(change: Callable[[Any], Any]) -> None:
    plain, given = {"b": 1, "a": 2, 3: 4}, {"b": 1, "a": 2, 3: 4}
    items = tracked(given)
    returned = change(plain)
    assert change(items) == returned
    assert items == plain
    assert list(items) == list(plain)
    assert given == plain
    assert dict.__eq__(items, plain)  # what C code sees
    assert children(items) == {}


def test_what_a_dict_refuses() -> None:
    items = tracked({"a": 1})
    for change in (
        lambda d: d.pop("z"),
        lambda d: d["z"],
        lambda d: d.__delitem__("z"),
        lambda d: d.__setitem__([], 1),
    ):
        with pytest.raises((KeyError, TypeError)):
            change(items)
    assert items == {"a": 1}
    with pytest.raises(KeyError):
        tracked({}).popitem()


def test_it_can_be_asked_what_a_dict_can() -> None:
    items = tracked({"b": 1, "a": [2]})
    assert isinstance(items, dict)
    assert (len(items), items["b"], items.get("z"), "a" in items, "z" in items) == (2, 1, None, True, False)
    assert [list(items), list(reversed(items)), list(items.keys())] == [["b", "a"], ["a", "b"], ["b", "a"]]
    assert [list(items.values()), list(items.items())] == [[1, [2]], [("b", 1), ("a", [2])]]
    assert items.keys() & {"a"} == {"a"}
    assert {**items} == dict(items) == items.copy() == items | {} == {} | items == {"b": 1, "a": [2]}
    assert (items == {"b": 1, "a": [2]}, items != {}, items == tracked({"b": 1, "a": [2]})) == (True, True, True)
    assert json.dumps(items) == '{"b": 1, "a": [2]}'
    assert "{b}".format(**items) == "1"
    assert repr(items) == "DictWrapper({'b': 1, 'a': ListWrapper([2])})"
    with pytest.raises(TypeError, match="unhashable"):
        hash(items)


def test_values_are_tracked_by_their_keys_in_order() -> None:
    one, two = Variable(1.0), Variable(2.0)
    items = tracked({"z": one, "n": 1, "a/b.c": {"inner": two}})
    assert children(items) == {"z": one, "a/b.c": items["a/b.c"]}
    items["n"] = two
    items.update(m=[one])
    assert [*children(items)] == ["z", "a/b.c", "n", "m"]


def test_what_setdefault_gives_is_what_is_kept() -> None:
    items = tracked({})
    items.setdefault("a", []).append(Variable(1.0))
    assert isinstance(items["a"], ListWrapper)
    assert [*children(items["a"])] == ["0"]


def test_another_value_takes_the_place_of_the_first() -> None:
    items, other = tracked({"a": Variable(1.0), "b": Variable(1.0)}), Variable(2.0)
    items["a"] = other
    assert [*children(items)] == ["a", "b"]
    assert children(items)["a"] is other


def test_a_deleted_key_is_not_tracked() -> None:
    items = tracked({"a": Variable(1.0), "b": Variable(1.0), "c": Variable(1.0)})
    del items["a"]
    assert [*children(items)] == ["b", "c"]
    items.pop("b")
    assert [*children(items)] == ["c"]
    items.clear()
    assert children(items) == {}


def test_keys_that_are_no_strings_can_name_what_is_not_tracked() -> None:
    variable = Variable(1.0)
    items = tracked({1: 2, (3, 4): "text", None: NoDependency([variable]), "a": variable})
    assert children(items) == {"a": variable}
    assert type(items[None]) is list


@pytest.mark.parametrize("value", [Variable(1.0), [], {}, (Variable(1.0),)])
def test_keys_that_are_no_strings_can_name_nothing_else(value: Any) -> None:
    items = tracked({1: value})
    with pytest.raises(StructureError, match=r"keys \['1'\] are no strings"):
        children(items)
    with pytest.raises(StructureError, match="no strings"):
        children(copy.deepcopy(items))
    items[1] = 3
    assert children(items) == {}
    items[2] = value
    with pytest.raises(StructureError, match=r"keys \['2'\] are no strings"):
        children(items)
    del items[2]
    assert children(items) == {}


def test_a_dict_that_was_changed_by_another_name_is_not_saved() -> None:
    for change in (lambda d: d.update(b=Variable(1.0)), lambda d: d.update(a=1), lambda d: d.clear()):
        given = {"a": Variable(1.0)}
        items = tracked(given)
        change(given)
        assert items == given
        with pytest.raises(StructureError, match="changed by another name"):
            children(items)


def test_what_waits_for_a_key_gets_its_value() -> None:
    items, got = tracked({}), []
    items.__tracking__.adopt("a", got.append)
    items["b"] = Variable(1.0)
    items |= {"a": [1]}
    assert got == [items["a"]]


def test_an_ordered_dict_is_one_of_those_that_are_wrapped() -> None:
    items = tracked(OrderedDict(b=Variable(1.0), a=Variable(2.0)))
    assert [*children(items)] == ["b", "a"]
    assert [*children(copy.deepcopy(items))] == ["b", "a"]
    assert items.popitem(last=False)[0] == "b"
    assert [*children(items)] == ["a"]


@pytest.mark.parametrize("kind", [Counter, lambda: defaultdict(list), type("Own", (dict,), {}), type("L", (list,), {})])
def test_containers_of_other_classes_are_left_alone(kind: Any) -> None:
    root, value = Trackable(), kind()
    root.value = value
    assert root.value is value
    assert not root.__children__()
