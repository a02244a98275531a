"""Tuples in attributes: they are tuples still, and track what they hold."""

from __future__ import annotations

import copy
import pickle
import time
from collections import namedtuple
from typing import Any, NamedTuple, Self

import pytest

from cloudckpt.variables.trackable.list_wrapper import ListWrapper
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.trackable.tuple_wrapper import TupleWrapper
from cloudckpt.variables.variable import Variable

Point = namedtuple("Point", "x y")  # noqa: PYI024 - the other way to make one is below


class Typed(NamedTuple):
    weights: Any
    count: int = 3


class OneForBoth(Point):
    """Made of one argument, where its fields are two."""

    def __new__(cls, both: Any) -> Self:
        return super().__new__(cls, both, both)


class Labelled(tuple):  # noqa: SLOT001 - one that has attributes
    label: str = ""


def tracked(elements: Any) -> Any:
    root = Trackable()
    root.elements = elements
    return root.elements


def children(elements: Any) -> dict[str, Any]:
    assert isinstance(elements, TupleWrapper)
    return dict(elements.__children__())


def test_elements_are_tracked_by_their_indices() -> None:
    variable = Variable(1.0)
    elements = tracked((3, variable, [variable], ((variable,), 1)))
    assert isinstance(elements, tuple)
    assert elements == (3, variable, [variable], ((variable,), 1))
    assert isinstance(elements[2], ListWrapper)
    assert children(elements) == {"1": variable, "2": elements[2], "3": elements[3]}
    assert children(elements[3]) == {"0": elements[3][0]}
    assert hash(tracked((variable, 1))) == hash((variable, 1))
    assert (elements[:2], type(elements[:2]), elements.__add__((1,))) == ((3, variable), tuple, (*elements, 1))


@pytest.mark.parametrize("elements", [(), (1, "a"), ((1, (2,)),), Point(1, 2), time.gmtime(0)])
def test_a_tuple_with_nothing_to_track_stays(elements: Any) -> None:
    root = Trackable()
    root.elements = elements
    assert root.elements is elements
    assert not root.__children__()


@pytest.mark.parametrize("kind", [Point, Typed])
def test_elements_of_named_ones_are_tracked_by_both_names(kind: Any) -> None:
    variable = Variable(1.0)
    elements = tracked(kind(variable, 3))
    first = kind._fields[0]
    assert isinstance(elements, kind)
    assert getattr(elements, first) is variable
    assert [*children(elements).items()] == [(first, variable), ("0", variable)]
    assert type(elements).__name__ == kind.__name__
    assert repr(elements) == repr(kind(variable, 3))


def test_what_a_named_one_makes_of_itself_is_wrapped_anew() -> None:
    elements = tracked(Point(Variable(1.0), 3))
    changed = elements._replace(y=[4])
    assert type(changed) is Point
    assert [*children(tracked(changed))] == ["x", "y", "0", "1"]
    assert elements._asdict() == {"x": elements.x, "y": 3}


def test_a_class_of_its_own_is_kept() -> None:
    """TensorFlow refuses to save this one, as it can't make another one of its fields."""
    elements = tracked(OneForBoth(Variable(1.0)))
    assert isinstance(elements, OneForBoth)
    assert [*children(elements)] == ["x", "y", "0", "1"]
    labelled = Labelled((Variable(1.0),))
    labelled.label = "a"
    assert tracked(labelled).label == "a"


def test_elements_that_are_kept_out() -> None:
    variable = Variable(1.0)
    elements = tracked((NoDependency(variable), variable, NoDependency([1])))
    assert elements == (variable, variable, [1])
    assert type(elements[2]) is list
    assert children(elements) == {"1": variable}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda elements: pickle.loads(pickle.dumps(elements))])
@pytest.mark.parametrize(
    "elements", [(Variable(1.0), NoDependency(Variable(2.0))), Point(Variable(1.0), [3]), OneForBoth(Variable(1.0))]
)
def test_copies_track_the_same(copied: Any, elements: Any) -> None:
    kept = tracked(elements)
    new = copied(kept)
    assert type(new) is type(kept)
    assert [*children(new)] == [*children(kept)]
    assert all(child is new[0] for name, child in children(new).items() if name in {"0", "x"})


def test_a_copy_has_the_attributes_of_its_class() -> None:
    labelled = Labelled((Variable(1.0),))
    labelled.label = "a"
    assert copy.deepcopy(tracked(labelled)).label == "a"
