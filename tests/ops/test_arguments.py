"""The forms in which arguments may come, as with TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.ops.string_arguments import path_argument, path_vector, string_elements, string_scalar, string_vector
from cloudckpt.ops.tensor_arguments import tensor_list
from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtype_arguments import data_type_argument
from cloudckpt.variables.dtypes import DataType

STRING_DTYPE = np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else object
"""NumPy's own strings of any length, from NumPy 2 on."""


class Arraylike:
    """What frameworks' tensors are to NumPy."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


class QuantisedTensor(Arraylike):
    """As TensorFlow's: by its array a plain integer, by its dtype a quantised one."""

    dtype = DType(DataType.QINT8)


@pytest.mark.parametrize(
    "value",
    [
        "a",
        b"a",
        np.str_("a"),
        np.bytes_(b"a"),
        ["a"],
        ("a",),
        np.array("a"),
        np.array([[b"a"]]),
        Arraylike(np.array(b"a", object)),
    ],
)
def test_one_string(value: Any) -> None:
    assert string_scalar(value, "prefix") == "a"
    assert type(string_scalar(value, "prefix")) is str


@pytest.mark.parametrize("value", [["a", "b"], [], np.array(["a", "b"])])
def test_what_is_not_one_string(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"prefix must be one string, got {len(value)}"):
        string_scalar(value, "prefix")


@pytest.mark.parametrize("value", [3, None, [3], ["a", None], np.arange(2), object(), Path("a")])
def test_what_is_no_string(value: Any) -> None:
    with pytest.raises(TypeError, match="names must"):
        string_elements(value, "names")


@pytest.mark.parametrize(
    "value",
    [
        ["a", "b\0"],
        ("a", b"b\0"),
        [np.str_("a"), "b\0"],
        np.array(["a", "b\0"], object),
        Arraylike(np.array([b"a", b"b\0"], object)),
        np.array(["a", "b\0"], STRING_DTYPE),
    ],
)
def test_strings(value: Any) -> None:
    assert string_vector(value, "names") == ["a", "b\0"]
    assert string_elements(value, "names") == ["a", "b\0"]


def test_no_strings() -> None:
    assert string_vector([], "names") == []


@pytest.mark.parametrize("value", ["a", [["a"]], np.array("a"), np.array([["a"]])])
def test_strings_of_another_rank(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="names must be a list or array of one dimension"):
        string_vector(value, "names")
    assert string_elements(value, "names") == ["a"]


def test_bytes_that_are_no_text_stand_for_themselves() -> None:
    assert string_vector([b"\xff"], "names")[0].encode("utf-8", "surrogateescape") == b"\xff"


def test_paths() -> None:
    assert path_argument(Path("run/ckpt"), "prefix") == "run/ckpt"
    assert path_vector([Path("run/ckpt"), "b", b"c"], "prefixes") == ["run/ckpt", "b", "c"]
    assert path_vector(np.array(["a", "b"]), "prefixes") == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DataType.HALF, DataType.HALF),
        (DType(DataType.HALF), DataType.HALF),
        (np.float16, DataType.HALF),
        (np.dtype("float16"), DataType.HALF),
        ("float16", DataType.HALF),
        ("half", DataType.HALF),
        (19, DataType.HALF),
        (np.int64(19), DataType.HALF),
        (119, DataType.HALF),
        (np.dtype(">f2"), DataType.HALF),
        ("float32", DataType.FLOAT),
        ("float", DataType.FLOAT),
        (float, DataType.FLOAT),
        ("float64", DataType.DOUBLE),
        (bool, DataType.BOOL),
        (int, DataType.INT64),
        (object, DataType.STRING),
        (str, DataType.STRING),
        ("string", DataType.STRING),
        (np.dtype("U3"), DataType.STRING),
        (ml_dtypes.bfloat16, DataType.BFLOAT16),
        ("float8_e4m3fn", DataType.FLOAT8_E4M3FN),
        (np.dtype([("qint8", np.int8)]), DataType.QINT8),
        ("qint8", DataType.QINT8),
    ],
)
def test_dtypes(value: Any, expected: DataType) -> None:
    assert data_type_argument(value, "dtypes") is expected


@pytest.mark.parametrize(
    "value", [None, "zzz", "DT_FLOAT", ">f4", 0, 999, -1, True, np.longdouble, "M8[s]", object(), [1]]
)
def test_what_is_no_dtype(value: Any) -> None:
    with pytest.raises(TypeError, match="dtypes must be a dtype that TensorFlow has"):
        data_type_argument(value, "dtypes")


BF16 = np.ones(2, ml_dtypes.bfloat16)


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (1.5, np.float32, ()),
        ([1, 2.5], np.float32, (2,)),
        (3, np.int32, ()),
        ([[1], [2]], np.int32, (2, 1)),
        (1 << 40, np.int64, ()),
        ([0, -(1 << 40)], np.int64, (2,)),
        (True, np.bool_, ()),
        (1j, np.complex128, ()),
        ([], np.float32, (0,)),
        ("text", object, ()),
        (b"text\0", object, ()),
        (np.str_("text"), object, ()),
        ([["a"], [b"b\0"]], object, (2, 1)),
        (np.array(["a", "b"]), "<U1", (2,)),
        (np.array(["a", "b"], STRING_DTYPE), object, (2,)),
        (np.float64(1.5), np.float64, ()),
        ([np.float64(1.5)], np.float64, (1,)),
        ([np.zeros(2), np.ones(2)], np.float64, (2, 2)),
        (np.arange(3), np.int64, (3,)),
        (np.arange(3, dtype=">i4"), np.int32, (3,)),
        (BF16, ml_dtypes.bfloat16, (2,)),
        (Arraylike(np.ones((2, 1))), np.float64, (2, 1)),
        (QuantisedTensor(np.ones(2, np.int8)), np.dtype([("qint8", np.int8)]), (2,)),
    ],
)
def test_tensors(value: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    (array,) = tensor_list([value], ["a"], "tensors")
    assert (array.dtype, array.shape) == (np.dtype(dtype), shape)
    assert array.dtype.isnative


def test_values_are_kept() -> None:
    big_endian = np.arange(3, dtype=">i4")
    assert [array.tolist() for array in tensor_list([b"x\0", [["a"]], big_endian, -5], [], "tensors")] == [
        b"x\0",
        [["a"]],
        [0, 1, 2],
        -5,
    ]


def test_arrays_are_not_copied() -> None:
    array = np.zeros((2, 3), np.float32).T
    assert tensor_list((array,), ["a"], "tensors")[0] is array


def test_the_rows_of_an_array_are_a_list() -> None:
    assert [row.tolist() for row in tensor_list(np.eye(2), ["a", "b"], "tensors")] == [[1, 0], [0, 1]]


@pytest.mark.parametrize("value", [3.0, "text", None, np.float32(1), {"a": 1}, iter([1])])
def test_what_is_no_list(value: Any) -> None:
    with pytest.raises(TypeError, match="tensors must be a list of tensors"):
        tensor_list(value, ["a"], "tensors")


@pytest.mark.parametrize("value", [None, object(), {"a": 1}, [[1], [1, 2]], [None]])
def test_what_is_no_tensor(value: Any) -> None:
    with pytest.raises(TypeError, match="tensor 'b' can't be saved"):
        tensor_list([1.0, value], ["a", "b"], "tensors")
