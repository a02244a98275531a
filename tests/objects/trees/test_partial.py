"""Parts of checkpoints: what is selected, what may be missing, and what is cast."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudckpt as ckpt
from cloudckpt.bundle.naming import data_filename
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.objects.trees.structure import join_name
from cloudckpt.variables.dtypes import DataType, to_numpy
from tests.objects.trees.equality import assert_same
from tests.objects.trees.strategies import FIXED_SIZE, trees

if TYPE_CHECKING:
    from collections.abc import Callable


class Point(NamedTuple):
    x: Any
    y: Any


class Nothing(NamedTuple):
    """As the state of an optimizer without one."""


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


TREE = {
    "model": {"encoder": {"w": 1, "b": 2}, "encoder2": {"w": 3}, "none": None, "empty": {}},
    "layers": [{"w": 4}, {"w": 5}, {"w": 6}],
    "pair": (7, 8),
    "step": 9,
}

SELECTIONS: dict[str, tuple[Any, Any]] = {
    "a branch": ("model/encoder", {"model": {"encoder": {"w": 1, "b": 2}}}),
    "a branch with a slash behind": ("model/encoder/", {"model": {"encoder": {"w": 1, "b": 2}}}),
    "a leaf": ("step", {"step": 9}),
    "several": (["model/encoder2", "step"], {"model": {"encoder2": {"w": 3}}, "step": 9}),
    "a tuple of them": (("step",), {"step": 9}),
    "None and what is empty go with their branch": ("model", {"model": TREE["model"]}),
    "a whole list": ("layers", {"layers": TREE["layers"]}),
    "an item of a list, by its index": ("layers/1", {"layers": {1: {"w": 5}}}),
    "an item of a tuple": (["pair/1"], {"pair": {1: 8}}),
    "a part of each item": (lambda name: name.startswith("layers/") and name.endswith("w"), {"layers": TREE["layers"]}),
    "by a function": (lambda name: name.endswith("b"), {"model": {"encoder": {"b": 2}}}),
    "nothing": (lambda name: name == "other", {}),
    "no beginnings": ([], {}),
}


@pytest.mark.parametrize(("only", "expected"), SELECTIONS.values(), ids=SELECTIONS)
def test_only_some_branches_without_a_template(only: Any, expected: Any) -> None:
    assert_same(ckpt.load(saved(TREE), only=only), expected)


def test_only_some_tensors_of_a_checkpoint_without_a_tree() -> None:
    prefix = f"memory://{uuid.uuid4().hex}/ckpt"
    with open_prefix(prefix, None) as location:
        save_tensors(location, {name: np.array(1) for name in ("a/b", "a/c", "ab")})
    assert [*ckpt.load(prefix, only="a")] == ["a/b", "a/c"]


def test_what_is_not_selected_keeps_the_templates_value() -> None:
    template = {"model": Point(np.zeros(3), np.ones(2)), "step": 0, "extra": {"not": np.zeros(1)}}
    prefix = saved({"model": {"x": np.arange(3.0), "y": np.zeros(7)}, "step": 5})
    restored = ckpt.load(prefix, like=template, only=["model/x", "step"])
    assert restored["model"].x.tolist() == [0, 1, 2]
    assert restored["model"].y is template["model"].y
    assert restored["extra"]["not"] is template["extra"]["not"]
    assert (restored["step"], type(restored["model"])) == (5, Point)


def test_what_is_not_selected_is_not_read(tmp_path: Path) -> None:
    prefix = ckpt.save(str(tmp_path / "ckpt"), {"a": np.zeros(10_000), "b": np.ones(10)})
    data = Path(data_filename(prefix, 0, 1))
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    assert [*ckpt.load(prefix, only="b")] == ["b"]
    with pytest.raises(ckpt.ChecksumMismatchError, match="'a'"):
        ckpt.load(prefix)


@pytest.mark.parametrize("like", [None, {"model": 0}], ids=["no template", "template"])
def test_a_beginning_that_nothing_has_is_an_error(like: Any) -> None:
    prefix = saved({"model": 1})
    with pytest.raises(ckpt.StructureError, match="only='modle' is the beginning of no tensor's name") as caught:
        ckpt.load(prefix, like=like, only=["model", "modle"])
    assert caught.value.path == prefix
    assert ckpt.load(prefix, like=like, only=["model", "modle"], strict=False) == {"model": 1}


@pytest.mark.parametrize("empty", [None, {}, ({}, ()), Nothing()], ids=repr)
@pytest.mark.parametrize("has_template", [False, True])
def test_a_branch_may_be_without_tensors(empty: Any, has_template: bool) -> None:
    tree = {"model": 1, "optimizer": empty}
    template = {"model": 0, "optimizer": empty} if has_template else None
    restored = ckpt.load(saved(tree), like=template, only=["model", "optimizer"])
    assert restored == ckpt.load(saved(tree), like=template)


@pytest.mark.parametrize("only", [b"model", 7, ["model", 7], iter(["model"])], ids=repr)
def test_what_selects_nothing_at_all_is_refused(only: Any) -> None:
    with pytest.raises(TypeError, match="only= takes a tensor's name or a beginning of it, a list of some, or a"):
        ckpt.load(saved({"model": 1}), like={"model": 0}, only=only)


def test_a_selected_leaf_that_is_missing_is_an_error() -> None:
    with pytest.raises(ckpt.StructureError, match=r"\['a'\]\['c'\] \('a/c'\) is not in the checkpoint") as caught:
        ckpt.load(saved({"a": {"b": 1}}), like={"a": {"b": 0, "c": 0}, "d": 0}, only="a")
    assert "'d'" not in str(caught.value)


def test_without_strictness_only_what_both_have_is_restored(caplog: pytest.LogCaptureFixture) -> None:
    prefix = saved({"a": 1, "b": np.ones(2), "old": {"x": 1, "y": 2}})
    template = {"a": 0, "b": np.zeros(2), "new": np.full(3, 7)}
    with caplog.at_level(logging.INFO, "cloudckpt"):
        restored = ckpt.load(prefix, like=template, strict=False)
    assert (restored["a"], restored["b"].tolist()) == (1, [1, 1])
    assert restored["new"] is template["new"]
    (record,) = caplog.records
    assert "2 tensors restored; 1 leaves" in record.getMessage()
    assert "2 tensors that the template lacks" in record.getMessage()


def test_without_strictness_shapes_must_fit_all_the_same() -> None:
    with pytest.raises(ckpt.StructureError, match=r"\['a'\] has shape \(2,\), tensor 'a' \(3,\)"):
        ckpt.load(saved({"a": np.zeros(3)}), like={"a": np.zeros(2), "b": 1}, strict=False)


def test_a_manager_that_finds_nothing_missing_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "cloudckpt"):
        ckpt.load(saved({"a": 1}), like={"a": 0}, strict=False)
    assert not [record for record in caplog.records if "load_like" in record.name]


CASTS: dict[str, tuple[Any, Any, Any]] = {
    "float64 to bfloat16": (np.array([1.5]), np.zeros(1, ml_dtypes.bfloat16), np.array([1.5], ml_dtypes.bfloat16)),
    "bfloat16 to float32": (np.ones(2, ml_dtypes.bfloat16), np.zeros(2, "f4"), np.ones(2, "f4")),
    "int64 to int32": (np.array([1, -2]), np.zeros(2, "i4"), np.array([1, -2], "i4")),
    "int to float": (np.array([1, -2]), np.zeros(2, "f4"), np.array([1, -2], "f4")),
    "float to complex": (np.array([1.5]), np.zeros(1, "c8"), np.array([1.5], "c8")),
    "bool to int8": (np.array([True]), np.zeros(1, "i1"), np.array([1], "i1")),
    "NumPy scalar": (np.float64(1.5), np.float32(0), np.float32(1.5)),
    "Python int for a float": (3, 0.0, 3.0),
    "Python bool for an int": (True, 0, 1),
    "Python int that is large": (np.uint64(2**64 - 1), 0, 2**64 - 1),
}


@pytest.mark.parametrize(("stored", "template", "expected"), CASTS.values(), ids=CASTS)
def test_casts_of_the_same_kind(stored: Any, template: Any, expected: Any) -> None:
    assert_same(ckpt.load(saved({"a": stored}), like={"a": template}, cast=True), {"a": expected})


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "float to int": (np.zeros(2), np.zeros(2, int), "is int64, tensor 'a' float64 .no cast of the same kind"),
    "complex to float": (np.zeros(2, "c8"), np.zeros(2, "f4"), "is float32, tensor 'a' complex64 .no cast"),
    "signed to unsigned": (np.zeros(2, "i1"), np.zeros(2, "u8"), "is uint64, tensor 'a' int8 .no cast"),
    "strings to numbers": (np.array(["1"]), np.zeros(1), "is float64, tensor 'a' string .no cast"),
    "numbers to strings": (np.zeros(1), np.array(["1"]), "is string, tensor 'a' float64 .no cast"),
    "quantised": (np.zeros(2, [("qint8", "i1")]), np.zeros(2, "f4"), "is float32, tensor 'a' qint8 .no cast"),
    "float for a Python int": (1.5, 0, "does not fit"),
    "text for a Python float": ("x", 0.0, "does not fit"),
}


@pytest.mark.parametrize(("stored", "template", "message"), REFUSED.values(), ids=REFUSED)
def test_other_casts_are_refused_by_name(stored: Any, template: Any, message: str) -> None:
    with pytest.raises(ckpt.StructureError, match=message):
        ckpt.load(saved({"a": stored}), like={"a": template}, cast=True)


def test_the_error_says_that_a_cast_would_do() -> None:
    with pytest.raises(ckpt.StructureError, match=r"tensor 'a' float64 \(cast=True would convert it\)"):
        ckpt.load(saved({"a": np.zeros(2)}), like={"a": np.zeros(2, "f4")})


@pytest.mark.parametrize("stored", FIXED_SIZE, ids=lambda dtype: dtype.name)
def test_every_cast_that_the_rule_allows_works(stored: DataType) -> None:
    before = np.zeros(3, to_numpy(stored))
    for wanted in FIXED_SIZE:
        after = to_numpy(wanted)
        if before.dtype.names or after.names or not np.can_cast(before.dtype, after, "same_kind"):
            continue
        assert ckpt.load(saved({"a": before}), like={"a": np.zeros(3, after)}, cast=True)["a"].dtype == after


def names_of(node: Any, name: str | None = None) -> list[str]:
    if isinstance(node, dict | list | tuple):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        return [found for key, child in items for found in names_of(child, join_name(name, key))]
    return [] if node is None else [name or ""]


@given(trees, st.data())
def test_the_selected_leaves_of_any_tree(tree: Any, data: st.DataObject) -> None:
    try:
        prefix = saved(tree)
    except ckpt.StructureError:
        return
    names = names_of(tree)
    chosen = data.draw(st.sets(st.sampled_from(names)) if names else st.just(set()))
    selects: Callable[[str], bool] = chosen.__contains__
    assert set(names_of(ckpt.load(prefix, only=selects))) == chosen
    whole = ckpt.load(prefix)
    assert_same(ckpt.load(prefix, like=whole, only=selects), whole)
