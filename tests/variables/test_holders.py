"""What savers take for a variable: ours, NumPy's arrays, and whatever looks like one."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import cloudckpt.compat.v1 as tf
from cloudckpt.variables.dtypes import DataType
from cloudckpt.variables.holder import Holder, as_holder, like
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from cloudckpt.variables.variable import Variable


def held(thing: Any) -> Holder:
    holder = as_holder(thing)
    assert holder is not None
    assert holder.thing is thing
    return holder


class Lookalike:
    """A variable of a framework that nobody here has heard of."""

    def __init__(self, value: Any, **attributes: Any) -> None:
        self.value = np.asarray(value)
        self.__dict__.update(attributes)

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def numpy(self) -> Any:
        return self.value

    def assign(self, value: Any) -> None:
        self.value = value


def test_a_variable_without_a_graph_is_read_and_assigned_without_a_copy() -> None:
    variable = Variable([1.0, 2.0], name="w", device="/cpu:1")
    holder = held(variable)
    assert (holder.name, holder.data_type, holder.shape) == ("w", DataType.FLOAT, (2,))
    assert (holder.device, holder.save_slice_info, holder.assignable) == ("/device:CPU:1", None, True)
    assert holder.read() is variable.own_value
    array = np.array([3.0, 4.0], np.float32)
    holder.assign(array)
    assert variable.own_value is array


def test_a_variable_of_a_graph_is_its_own_value_even_within_the_graph() -> None:
    with tf.Graph().as_default() as graph, tf.name_scope("s"):
        variable = tf.Variable([1.0, 2.0], name="w")
        operations = len(graph.get_operations())
        holder = held(variable)
        holder.assign(holder.read() * 2)
        assert (holder.name, variable.numpy().tolist()) == ("s/w", [2.0, 4.0])
        assert len(graph.get_operations()) == operations


def test_a_variable_that_is_a_slice_says_so() -> None:
    variable = Variable([1.0, 2.0], name="w")
    variable.save_slice_info = SaveSliceInfo("whole", (4,), (2,), (2,))
    assert held(variable).save_slice_info is variable.save_slice_info


def test_a_shape_that_is_not_fully_known_is_unknown() -> None:
    with tf.Graph().as_default():
        assert held(tf.Variable([1.0], shape=[None])).shape is None
        assert held(tf.Variable([1.0], validate_shape=False)).shape is None


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6, dtype=np.int8).reshape(2, 3).T,
        np.array(5),
        np.zeros((0, 3), ml_dtypes.bfloat16),
        np.array([b"a", b"bc"], object),
    ],
    ids=["rows", "transposed", "scalar", "empty", "strings"],
)
def test_an_array_is_read_without_a_copy_and_filled_in_place(array: Any) -> None:
    array = array.copy(order="K")
    holder = held(array)
    assert (holder.name, holder.shape, holder.device, holder.assignable) == ("", array.shape, "", True)
    assert holder.read() is array
    value = array * 2
    holder.assign(value.copy())
    np.testing.assert_array_equal(array, value)


def test_dtypes_of_arrays_are_tensorflows() -> None:
    for array, data_type in (
        (np.zeros(1, np.float16), DataType.HALF),
        (np.zeros(1, ml_dtypes.float8_e5m2), DataType.FLOAT8_E5M2),
        (np.array(["text"]), DataType.STRING),
        (np.array([b"bytes"]), DataType.STRING),
    ):
        assert held(array).data_type is data_type


@pytest.mark.parametrize("array", [np.zeros(2, ">f4"), np.zeros(2, "datetime64[s]"), np.zeros(2, np.longdouble)])
def test_an_array_of_a_dtype_that_tensorflow_has_not_is_refused(array: Any) -> None:
    with pytest.raises(TypeError, match="dtype"):
        _ = held(array).data_type


def read_only() -> Any:
    array = np.zeros(2)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (read_only(), "a read-only NumPy array"),
        (np.array(["one", "two"]), "fixed width"),
        (np.array([b"one", b"two"]), "fixed width"),
        (np.float32(3), "a NumPy scalar, such as this float32"),
    ],
    ids=["read-only", "texts", "bytes", "scalar"],
)
def test_what_can_not_be_filled_in_place_is_read_only(thing: Any, why: str) -> None:
    holder = held(thing)
    before = holder.read().copy()
    assert not holder.assignable
    with pytest.raises(TypeError, match=f"{why}.*can't be restored in place"):
        holder.assign(before)
    np.testing.assert_array_equal(holder.read(), before)


def test_what_looks_like_a_variable_is_one() -> None:
    thing = Lookalike([1.0, 2.0], name="scope/w:0", device="/device:XPU:0")
    holder = held(thing)
    assert (holder.name, holder.data_type, holder.shape) == ("scope/w", DataType.DOUBLE, (2,))
    assert (holder.device, holder.assignable, holder.save_slice_info) == ("/device:XPU:0", True, None)
    assert holder.read() is thing.value
    holder.assign(np.zeros(2))
    assert thing.value.tolist() == [0.0, 0.0]


def test_what_looks_like_a_variable_may_be_read_as_an_array_and_have_no_name() -> None:
    class Arraylike:
        dtype = "bfloat16"
        shape = (None, 2)
        name = device = 5

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.ones((3, 2), ml_dtypes.bfloat16)

        def assign(self, value: Any) -> None: ...

    holder = held(Arraylike())
    assert (holder.name, holder.device, holder.shape, holder.data_type) == ("", "", None, DataType.BFLOAT16)
    assert holder.read().tolist() == [[1, 1]] * 3


def test_the_slice_that_somebodys_variable_says_it_is_counts() -> None:
    info = SaveSliceInfo("whole", (4,), (0,), (2,))
    assert held(Lookalike([1.0, 2.0], _save_slice_info=info)).save_slice_info is info


def test_a_dtype_that_is_none_is_refused() -> None:
    thing = Lookalike([1.0])
    thing.value = np.zeros(1, "datetime64[s]")
    with pytest.raises(TypeError, match="the dtype of a Lookalike"):
        _ = held(thing).data_type


@pytest.mark.parametrize(
    "thing", [5, 1.5, True, "w", b"w", None, [1.0], {"w": 1}, Lookalike, object(), np.float32, tf.float32, print]
)
def test_what_is_no_variable_is_none(thing: Any) -> None:
    assert as_holder(thing) is None


@pytest.mark.parametrize("missing", ["assign", "dtype", "shape", "numpy"])
def test_what_lacks_a_part_of_a_variable_is_none(missing: str) -> None:
    attributes = {"assign": print, "dtype": np.dtype(float), "shape": (), "numpy": print}
    del attributes[missing]
    assert as_holder(type("Part", (), attributes)()) is None


@pytest.mark.parametrize(
    "existing", [np.float32(1), np.int64(1), np.bool_(True), 1, 1.5, True, 1j], ids=lambda value: type(value).__name__
)
def test_a_scalar_is_restored_as_one_of_its_type(existing: Any) -> None:
    restored = like(existing, np.asarray(np.asarray(existing) * 2, np.asarray(existing).dtype))
    assert type(restored) is type(existing)
    assert restored == type(existing)(existing * 2)


@pytest.mark.parametrize("existing", [None, "text", np.zeros(2)])
def test_in_the_place_of_anything_else_the_array_itself_comes(existing: Any) -> None:
    array = np.ones(2)
    assert like(existing, array) is array
