"""Loading into a template: its structure and types, the checkpoint's values."""

from __future__ import annotations

import uuid
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import cloudckpt as ckpt
from tests.objects.trees.equality import assert_same
from tests.objects.trees.rewriting import objects


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


FITS: dict[str, tuple[Any, Any, Any]] = {
    "the same": ({"a": np.arange(3)}, {"a": np.zeros(3, int)}, {"a": np.arange(3)}),
    "list as tuple": ([1, [2]], (0, (0,)), (1, (2,))),
    "tuple as dict": ((1, 2), {"0": 0, 1: 0}, {"0": 1, 1: 2}),
    "other order": ({"a": 1, "b": 2}, {"b": 0, "a": 0}, {"b": 2, "a": 1}),
    "keys with slashes": ({"a": {"b": 1}}, {"a/b": 0}, {"a/b": 1}),
    "None and empty containers come from the template": (
        {"a": 1, "b": None, "c": {}},
        {"a": 0, "d": [None, ()]},
        {"a": 1, "d": [None, ()]},
    ),
    "int of int8": ({"a": np.int8(5)}, {"a": 0}, {"a": 5}),
    "int of uint64": ({"a": np.uint64(2**64 - 1)}, {"a": 0}, {"a": 2**64 - 1}),
    "int of int4": ({"a": ml_dtypes.int4(-3)}, {"a": 0}, {"a": -3}),
    "int of an array": ({"a": np.array(5, np.int32)}, {"a": 0}, {"a": 5}),
    "int of a bigint": ({"a": 10**30}, {"a": 0}, {"a": 10**30}),
    "bigint of an int": ({"a": 5}, {"a": 10**30}, {"a": 5}),
    "float of float32": ({"a": np.float32(0.5)}, {"a": 0.0}, {"a": 0.5}),
    "float of bfloat16": ({"a": ml_dtypes.bfloat16(0.5)}, {"a": 0.0}, {"a": 0.5}),
    "complex of complex64": ({"a": np.complex64(1 + 2j)}, {"a": 0j}, {"a": 1 + 2j}),
    "bool of np.bool_": ({"a": np.bool_(True)}, {"a": False}, {"a": True}),
    "array of an int": ({"a": 5}, {"a": np.zeros((), int)}, {"a": np.array(5)}),
    "scalar of a float": ({"a": 0.5}, {"a": np.float64(0)}, {"a": np.float64(0.5)}),
    "str of bytes": ({"a": b"abc"}, {"a": ""}, {"a": "abc"}),
    "bytes of str": ({"a": "é"}, {"a": b""}, {"a": "é".encode()}),
    "np.str_ of any length": ({"a": "abc"}, {"a": np.str_("")}, {"a": np.str_("abc")}),
    "U of objects": ({"a": objects("a", "bc")}, {"a": np.zeros(2, "U3")}, {"a": np.array(["a", "bc"], "U3")}),
    "objects of S": ({"a": np.array([b"a", b"bc"])}, {"a": objects("", "")}, {"a": objects("a", "bc")}),
    "wider U": ({"a": np.array(["a"])}, {"a": np.zeros(1, "U90000")}, {"a": np.array(["a"], "U90000")}),
    "Fortran template": (
        {"a": np.arange(6.0).reshape(2, 3)},
        {"a": np.zeros((2, 3), order="F")},
        {"a": np.arange(6.0).reshape(2, 3)},
    ),
    "broadcast template": ({"a": np.arange(3.0)}, {"a": np.broadcast_to(0.0, 3)}, {"a": np.arange(3.0)}),
}


@pytest.mark.parametrize(("tree", "template", "expected"), FITS.values(), ids=FITS)
def test_what_fits(tree: Any, template: Any, expected: Any) -> None:
    assert_same(ckpt.load(saved(tree), like=template), expected)


def test_the_template_is_not_written_to() -> None:
    template = {"a": np.zeros(3)}
    loaded = ckpt.load(saved({"a": np.ones(3)}), like=template)
    assert not np.any(template["a"])
    assert loaded["a"] is not template["a"]


DIFFERENCES: dict[str, tuple[Any, Any, str]] = {
    "missing": ({"a": 1}, {"a": 0, "b": [0]}, r"\['b'\]\[0\] \('b/0'\) is not in the checkpoint"),
    "extra": ({"a": 1, "b": 2}, {"a": 0}, "the checkpoint's tensor 'b' is not in the template"),
    "None where a leaf was": ({"a": 1}, {"a": None}, "the checkpoint's tensor 'a' is not in the template"),
    "leaf where None was": ({"a": None}, {"a": 0}, r"\['a'\] \('a'\) is not in the checkpoint"),
    "shape": ({"a": np.zeros(3)}, {"a": np.zeros(4)}, r"\['a'\] has shape \(4,\), tensor 'a' \(3,\)"),
    "rank": ({"a": np.zeros(1)}, {"a": np.zeros(())}, r"\['a'\] has shape \(\), tensor 'a' \(1,\)"),
    "vector for a scalar": ({"a": np.zeros(3)}, {"a": 0.0}, r"\['a'\] has shape \(\), tensor 'a' \(3,\)"),
    "dtype": ({"a": np.zeros(3)}, {"a": np.zeros(3, "f4")}, r"\['a'\] is float32, tensor 'a' float64"),
    "int for float": ({"a": np.zeros(3, int)}, {"a": np.zeros(3)}, r"\['a'\] is float64, tensor 'a' int64"),
    "string for number": ({"a": np.zeros(1)}, {"a": np.zeros(1, "U3")}, r"\['a'\] is string, tensor 'a' float64"),
    "number for string": ({"a": np.array(["x"])}, {"a": np.zeros(1)}, r"\['a'\] is float64, tensor 'a' string"),
    "quantised": ({"a": np.zeros(1, "i1")}, {"a": np.zeros(1, [("qint8", "i1")])}, "is qint8, tensor 'a' int8"),
    "scalar dtype": ({"a": np.float32(1)}, {"a": np.float64(0)}, "is float64, tensor 'a' float32"),
    "float for int": ({"a": 1.5}, {"a": 0}, r"'a' .* does not fit \['a'\] of the template: .*float64 .*Python int"),
    "int for float scalar": ({"a": 1}, {"a": 0.0}, r"does not fit \['a'\] of the template"),
    "int for bool": ({"a": 1}, {"a": True}, r"does not fit \['a'\] of the template"),
    "text for int": ({"a": "ten"}, {"a": 0}, r"does not fit \['a'\] of the template"),
    "number for text": ({"a": 1.5}, {"a": ""}, r"does not fit \['a'\] of the template"),
    "no UTF-8 for text": ({"a": b"\xff"}, {"a": ""}, r"does not fit \['a'\] of the template"),
    "narrower U": ({"a": np.array(["abc"])}, {"a": np.zeros(1, "U2")}, "does not fit .*element of 3 .*U2"),
}


@pytest.mark.parametrize(("tree", "template", "message"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_what_does_not_fit_is_named(tree: Any, template: Any, message: str) -> None:
    prefix = saved(tree)
    with pytest.raises(ckpt.StructureError, match=message) as caught:
        ckpt.load(prefix, like=template)
    assert caught.value.path == prefix
    assert prefix in str(caught.value)


def test_the_first_few_differences_are_listed() -> None:
    with pytest.raises(ckpt.StructureError, match=r"'4'.* is not in the checkpoint; and 7 more") as caught:
        ckpt.load(saved({"a": 1, "b": 1}), like=[0] * 10)
    assert str(caught.value).count("is not in") == 5


def test_a_template_must_be_a_tree_itself() -> None:
    prefix = saved({"a": 1})
    with pytest.raises(TypeError, match=r"\['a'\]"):
        ckpt.load(prefix, like={"a": object()})
    with pytest.raises(ckpt.StructureError, match="has no tensor name"):
        ckpt.load(prefix, like=1)
