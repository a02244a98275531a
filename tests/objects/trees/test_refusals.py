"""What a tree may not hold: each refused with a reason and its place, before anything is written."""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt

if TYPE_CHECKING:
    from pathlib import Path


class Pair(tuple):
    __slots__ = ()


class Items(list):
    pass


class Colour(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


class Real(np.float64):
    pass


class Array(np.ndarray):
    pass


def objects(*elements: object) -> np.ndarray:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


def lines(depth: int) -> Any:
    tree: Any = 1
    for _ in range(depth):
        tree = [tree]
    return tree


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """A folder that a refusal must leave empty."""
    yield tmp_path
    assert [*tmp_path.iterdir()] == []


TYPES: dict[str, tuple[Any, str]] = {
    "tuple subclass": (Pair((1, 2)), "Pair"),
    "list subclass": (Items([1]), "Items"),
    "set": ({1}, "set"),
    "IntEnum": (Colour.RED, "Colour"),
    "str subclass": (Name("a"), "Name"),
    "NumPy scalar subclass": (Real(1), "Real"),
    "ndarray subclass": (np.zeros(2).view(Array), "Array"),
    "object": (object(), "object"),
    "bytearray": (bytearray(b"a"), "bytearray"),
    "datetime64": (np.array(["2020-01-01"], "M8[D]"), "datetime64"),
    "datetime64 scalar": (np.datetime64("2020-01-01"), "datetime64"),
    "variable-width strings": (np.array(["a"], np.dtypes.StringDType()), "StringDType"),
    "longdouble": (np.zeros(2, np.longdouble), "longdouble|float128"),
    "longdouble scalar": (np.longdouble(1), "longdouble|float128"),
    "clongdouble": (np.zeros(2, np.clongdouble), "complex256"),
    "structured": (np.zeros(2, [("a", np.int8), ("b", np.int8)]), "'a'"),
    "structured scalar": (np.zeros(2, [("a", np.int8)])[0], "'a'"),
    "void": (np.zeros(2, "V3"), "V3"),
    "record array": (np.zeros(2, [("a", np.int8)]).view(np.recarray), "recarray"),
    "masked array": (np.ma.masked_array([1, 2], [0, 1]), "MaskedArray"),
    "masked": (np.ma.masked, "MaskedConstant"),
    "matrix": (np.zeros((2, 2)).view(np.matrix), "matrix"),
    "byte-swapped": (np.zeros(2, ">f4"), "byte order"),
    "byte-swapped U": (np.zeros(2, ">U4"), "byte order"),
    "mixed object array": (objects("a", b"b"), "bytes, str"),
    "object array of numbers": (objects(1, 2.0), "float, int"),
    "object array of None": (objects("a", None), "NoneType, str"),
    "object array of subclasses": (objects(Name("a")), "Name"),
    "object array of arrays": (objects(np.zeros(2), "a"), "ndarray, str"),
}


@pytest.mark.parametrize(("value", "found"), TYPES.values(), ids=TYPES)
def test_a_type_is_refused_by_its_path(folder: Path, value: Any, found: str) -> None:
    with pytest.raises(TypeError, match=found) as caught:
        ckpt.save(folder / "ckpt", {"model": [{"w": value}]})
    assert "['model'][0]['w']" in str(caught.value)


@pytest.mark.parametrize("root", [{1}, object(), np.zeros(2, "M8[s]")], ids=repr)
def test_a_type_is_refused_at_the_root(folder: Path, root: Any) -> None:
    with pytest.raises((TypeError, ckpt.StructureError), match=r"the tree|the root"):
        ckpt.save(folder / "ckpt", root)


@pytest.mark.parametrize(
    "key", [True, 1.0, None, b"a", Name("a"), Colour.RED, np.int64(1), np.str_("a"), (1,)], ids=repr
)
@pytest.mark.parametrize("value", [1, None, {}], ids=["leaf", "none", "empty"])
def test_a_key_is_str_or_int(folder: Path, key: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=r"at \['a'\] is a .*: keys are str or int"):
        ckpt.save(folder / "ckpt", {"a": {key: value}})


@pytest.mark.parametrize(
    "name",
    [
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "_CLOUDCKPT_TREE",
        "_CLOUDCKPT_",
        "_CLOUDCKPT_LATER/x",
        "\0",
        "\0a",
    ],
)
def test_reserved_names(folder: Path, name: str) -> None:
    with pytest.raises(ckpt.StructureError) as caught:
        ckpt.save(folder / "ckpt", {name: 1})
    assert f"the tensor name {name!r} at [{name!r}]" in str(caught.value)
    assert caught.value.tensor == name


def test_reserved_names_are_so_at_the_beginning_only(tmp_path: Path) -> None:
    tree = {"a": {"_CLOUDCKPT_TREE": 1, "\0": 2}, "_CLOUDCKPT": 3, "_CHECKPOINTABLE_OBJECT_GRAPH2": 4}
    assert ckpt.load(ckpt.save(str(tmp_path / "ckpt"), tree)) == tree


@pytest.mark.parametrize("tree", [1, np.zeros(3), {"": 1}, "text"], ids=repr)
def test_an_empty_name(folder: Path, tree: Any) -> None:
    with pytest.raises(ckpt.StructureError, match="has no tensor name"):
        ckpt.save(folder / "ckpt", tree)


COLLISIONS: dict[str, tuple[Any, str, str, str]] = {
    "slash": ({"a": {"b": 1}, "a/b": 2}, "a/b", "['a']['b']", "['a/b']"),
    "int and str": ({1: 2, "1": 3}, "1", "[1]", "['1']"),
    "index and key": ({"a": [1], "a/0": 2}, "a/0", "['a'][0]", "['a/0']"),
    "empty keys": ({"": {"": 1}, "/": 2}, "/", "['']['']", "['/']"),
}


@pytest.mark.parametrize(("tree", "name", "first", "second"), COLLISIONS.values(), ids=COLLISIONS)
def test_two_leaves_of_one_name_are_both_named(folder: Path, tree: Any, name: str, first: str, second: str) -> None:
    with pytest.raises(ckpt.StructureError) as caught:
        ckpt.save(folder / "ckpt", tree)
    assert all(part in str(caught.value) for part in (repr(name), first, second))
    assert caught.value.tensor == name


@pytest.mark.parametrize(
    "value",
    ["\ud800", objects("a", "\udfff"), np.array(["a", "\ud800"]), np.str_("\udc80")],
    ids=["str", "object", "U", "np.str_"],
)
def test_surrogates_in_a_leaf(folder: Path, value: Any) -> None:
    with pytest.raises(ckpt.StructureError, match="'model/w'") as caught:
        ckpt.save(folder / "ckpt", {"model": {"w": value}})
    assert caught.value.tensor == "model/w"


@pytest.mark.parametrize("value", [1, None, {}], ids=repr)
@pytest.mark.parametrize("key", ["\ud800", "a\udfff", 10**4300, -(10**5000)], ids=["high", "low", "int", "negative"])
def test_keys_that_are_no_text(folder: Path, key: Any, value: Any) -> None:
    with pytest.raises(ckpt.StructureError, match=r"at \['model'\]"):
        ckpt.save(folder / "ckpt", {"model": {key: value}})


@pytest.mark.parametrize("value", [10**4300, -(10**4300), 1 << 100_000], ids=["positive", "negative", "far beyond"])
def test_an_int_of_too_many_digits(folder: Path, value: int) -> None:
    with pytest.raises(ckpt.StructureError, match=r"\['seed'\].*4300"):
        ckpt.save(folder / "ckpt", {"seed": value})


def test_python_may_be_told_to_write_no_such_int(folder: Path) -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(ckpt.StructureError, match="'seed'"):
            ckpt.save(folder / "ckpt", {"seed": 10**1000})
    finally:
        sys.set_int_max_str_digits(limit)


def cycle_of_lists() -> Any:
    tree: list[Any] = []
    tree += [tree, tree]
    return tree


def cycle_through_a_dict() -> Any:
    inner: list[Any] = [1]
    tree = {"a": inner}
    inner.append(tree)
    return tree


@pytest.mark.parametrize("tree", [cycle_of_lists(), cycle_through_a_dict(), lines(201), lines(5000)], ids=range(4))
def test_trees_that_are_too_deep(folder: Path, tree: Any) -> None:
    with pytest.raises(ckpt.StructureError, match="200 levels deep, or contains itself"):
        ckpt.save(folder / "ckpt", tree)


def test_a_refused_tree_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    prefix = ckpt.save(str(tmp_path / "ckpt"), {"a": 1})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for tree in ({"a": object()}, {"a": "\ud800"}, {"": 1}):
        with pytest.raises((TypeError, ckpt.StructureError)):
            ckpt.save(prefix, tree)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
