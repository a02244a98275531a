"""What becomes an array of which dtype; tests/tensorflow compares it with TensorFlow's variables."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.variables.conversion import as_array, as_string_array, converted, sealed_copy
from cloudckpt.variables.dtypes import DataType, to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, np.int32),
        (2**31, np.int64),
        (1.5, np.float32),
        (1j, np.complex128),
        (True, np.bool_),
        ([], np.float32),
        ([[1, 2], [3, 4]], np.int32),
        ("text", object),
        (["a", b"b"], object),
        (range(3), np.int32),
        ([np.int64(1), 2], np.int32),
        ([np.int64(1), 2.5], np.float32),
        ([np.int8(1)], np.int8),
        (np.float64(1), np.float64),
        (np.arange(3), np.int64),
        (np.arange(3, dtype=">i4"), np.int32),
        (np.zeros(2, ml_dtypes.bfloat16), ml_dtypes.bfloat16),
    ],
)
def test_dtypes_of_values(value: object, dtype: object) -> None:
    assert as_array(value).dtype == np.dtype(dtype)  # type: ignore[call-overload]


def test_an_array_is_not_copied() -> None:
    array = np.arange(3.0)
    assert as_array(array) is array
    assert converted(array) is array
    assert converted(array, DataType.DOUBLE) is array


def test_an_array_is_cast_and_python_numbers_are_not_narrowed() -> None:
    np.testing.assert_array_equal(converted(np.array([1.7, -1.7]), DataType.INT32), np.array([1, -1], np.int32))
    assert converted(1, DataType.FLOAT).dtype == np.float32
    assert converted(1.1, DataType.DOUBLE) == 1.1  # never by way of float32
    assert converted([], DataType.INT32).dtype == np.int32
    assert converted(300, DataType.UINT8) == 300 % 256
    for value, data_type in [(1.5, DataType.INT32), (1, DataType.BOOL), (1j, DataType.FLOAT), ([0.5], DataType.INT4)]:
        with pytest.raises(TypeError, match="expected"):
            converted(value, data_type)


@pytest.mark.parametrize("data_type", [each for each in DataType if each not in (DataType.RESOURCE, DataType.VARIANT)])
def test_every_dtype_has_a_value(data_type: DataType) -> None:
    value = "x" if data_type is DataType.STRING else data_type is DataType.BOOL or 1
    array = converted(value, data_type)
    assert array.dtype == to_numpy(data_type)
    assert array.item() == (b"x" if data_type is DataType.STRING else np.ones((), array.dtype).item())
    assert converted(array, data_type) is array


def test_strings_become_bytes() -> None:
    assert as_string_array(np.array(["é", "a"])).tolist() == ["é".encode(), b"a"]
    assert converted("a\0").item() == b"a\0"
    array = np.array([b"a"], object)
    assert converted(array) is array
    with pytest.raises(TypeError, match="holds text or bytes, not int"):
        converted(np.array([b"a", 1], object))


@pytest.mark.parametrize(
    ("value", "data_type", "error", "message"),
    [
        ({"a": 1}, None, TypeError, "not of builtins.dict"),
        ([1, "x"], None, TypeError, "all of .1, 'x'., which begins with builtins.int"),
        ([None], None, TypeError, "NoneType"),
        (2**70, None, TypeError, "begins with builtins.int"),
        ([[1], [2, 3]], None, ValueError, "inhomogeneous"),
        ("x", DataType.FLOAT, TypeError, "expected float32, found string: 'x'"),
        (1, DataType.STRING, TypeError, "expected string, found int32: 1"),
        (np.zeros(2, "M8[s]"), None, TypeError, "no counterpart"),
        ([1.5] * 1000, DataType.INT32, TypeError, r"\.\.\.$"),
    ],
)
def test_what_is_no_tensor_is_refused(
    value: object, data_type: DataType | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        converted(value, data_type)


@pytest.mark.parametrize(
    "given",
    [np.ones(500_000, np.float32), np.ones(500_000), np.ones(500_000, ">f4"), np.ones((500, 1000), order="F")],
    ids=["as it is", "cast", "of the other byte order", "cast, of the other order"],
)
def test_a_value_is_copied_once(given: NDArray[Any]) -> None:
    tracemalloc.start()
    copied = sealed_copy(given, DataType.FLOAT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert copied.nbytes <= peak < 1.5 * copied.nbytes
    assert not np.may_share_memory(copied, given)
    assert copied.flags.c_contiguous
    assert not copied.flags.writeable
    assert given.flags.writeable
