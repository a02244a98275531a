"""Partitioned variables beside real TensorFlow's: the same parts, slices and names, for many shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudckpt.compat import v1 as ours
from cloudckpt.variables.dtypes import DataType, python_name, to_numpy
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from tests.tensorflow.conftest import require_tensorflow

SHAPES = st.lists(st.integers(1, 2000), min_size=1, max_size=4).map(tuple)
DTYPES = st.sampled_from(["float32", "float64", "bfloat16", "float16", "int64", "uint8", "bool", "complex64", "string"])


def theirs() -> Any:
    return require_tensorflow().compat.v1


def partitions(tf: Any, make: str, arguments: dict[str, int], shape: tuple[int, ...], dtype: str) -> list[int]:
    """What a partitioner of either module gives."""
    whole = shape if tf is ours else require_tensorflow().TensorShape(shape)
    return list(getattr(tf, make)(**arguments)(shape=whole, dtype=tf.as_dtype(dtype)))


@given(st.data(), SHAPES, DTYPES)
def test_partitioners_cut_as_tensorflows(data: st.DataObject, shape: tuple[int, ...], dtype: str) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    size = st.integers(1, 100_000)
    cases = {
        "fixed_size_partitioner": {"num_shards": data.draw(st.integers(1, 50)), "axis": axis},
        "variable_axis_size_partitioner": {
            "max_shard_bytes": data.draw(size),
            "axis": axis,
            "bytes_per_string_element": data.draw(st.integers(1, 99)),
            "max_shards": data.draw(st.integers(1, 50) | st.none()),
        },
        "min_max_variable_partitioner": {
            "max_partitions": data.draw(st.integers(1, 50)),
            "axis": axis,
            "min_slice_size": data.draw(size),
            "bytes_per_string_element": data.draw(st.integers(1, 99)),
        },
    }
    for make, arguments in cases.items():
        assert partitions(ours, make, arguments, shape, dtype) == partitions(theirs(), make, arguments, shape, dtype)


@pytest.mark.parametrize("make", ["variable_axis_size_partitioner", "min_max_variable_partitioner"])
@pytest.mark.parametrize("data_type", [DataType.FLOAT8_E5M2, DataType.INT4, DataType.QINT8, DataType.UINT64])
def test_elements_have_tensorflows_sizes(make: str, data_type: DataType) -> None:
    arguments = {"variable_axis_size_partitioner": {"max_shard_bytes": 40}}.get(
        make, {"max_partitions": 100, "min_slice_size": 40}
    )
    tf = require_tensorflow()
    expected = list(
        getattr(theirs(), make)(**arguments)(shape=tf.TensorShape([100]), dtype=tf.as_dtype(int(data_type)))
    )
    assert partitions(ours, make, arguments, (100,), python_name(data_type)) == expected


def parts(tf: Any, shape: tuple[int, ...], slicing: list[int]) -> list[tuple[str, list[int], str, str]]:
    """The parts of a variable that either module makes in a graph."""
    attribute = "save_slice_info" if tf is ours else "_save_slice_info"
    with tf.Graph().as_default(), tf.variable_scope("s", partitioner=lambda **_: slicing):
        whole = tf.get_variable("w", shape, initializer=tf.zeros_initializer())
        assert whole.name == "s/w"
        assert list(whole.shape) == list(shape)
        infos = [getattr(part, attribute) for part in whole]
    return [
        (part.name, [int(size) for size in part.shape], info.spec, info.full_name)
        for part, info in zip(whole, infos, strict=True)
    ]


@given(st.data(), st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple))
def test_parts_have_tensorflows_names_shapes_and_slices(data: st.DataObject, shape: tuple[int, ...]) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    slicing = [1] * len(shape)
    slicing[axis] = data.draw(st.integers(1, min(shape[axis], 6)))
    assert parts(ours, shape, slicing) == parts(theirs(), shape, slicing)


@pytest.mark.parametrize(
    "slicing",
    [[3, 1], [2, 2], [2], 2, [0, 1], []],
    ids=["too many", "two axes", "too short", "number", "none", "empty"],
)
def test_partitions_that_tensorflow_refuses_are_refused(slicing: Any) -> None:
    for tf in (ours, theirs()):
        with tf.Graph().as_default(), pytest.raises(ValueError):
            tf.get_variable("w", [2, 4], partitioner=lambda **_: slicing)


@pytest.mark.parametrize("info", [SaveSliceInfo("w", (4, 3), (0, 1), (4, 2)), SaveSliceInfo("w", (7,), (6,), (1,))])
def test_a_spec_is_tensorflows(info: SaveSliceInfo) -> None:
    expected = require_tensorflow().Variable.SaveSliceInfo(
        info.full_name, list(info.full_shape), list(info.var_offset), list(info.var_shape)
    )
    assert info.spec == expected.spec


@pytest.mark.parametrize("count", [1, 3])
def test_putting_parts_together_adds_tensorflows_nodes(count: int) -> None:
    def added(tf: Any) -> list[tuple[str, str, list[str]]]:
        with tf.Graph().as_default() as graph, tf.name_scope("outer"):
            whole = tf.get_variable("w", [5, 4], partitioner=tf.fixed_size_partitioner(count, axis=1))
            before = {operation.name for operation in graph.get_operations()}
            assert [whole.as_tensor().name for _ in range(2)] == ["w:0", "w_1:0"]
        return [
            (each.name, each.type, [getattr(source, "name", source).removesuffix(":0") for source in each.inputs])
            for each in graph.get_operations()
            if each.name not in before
        ]

    tf = theirs()
    tf.disable_resource_variables()
    try:
        expected = added(tf)
    finally:
        tf.enable_resource_variables()
    assert added(ours) == expected


def test_parts_of_an_array_are_its_slices() -> None:
    array = np.arange(28.0, dtype=np.float32).reshape(7, 4)
    values = {}
    for tf in (ours, theirs()):
        with tf.Graph().as_default(), tf.Session() as session:
            made = tf.create_partitioned_variables([7, 4], [3, 1], array, name="w")
            session.run(tf.global_variables_initializer())
            values[tf] = [session.run(part) for part in made]
    for one, other in zip(*values.values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("data_type", list(DataType))
def test_the_dtypes_that_need_an_initializer_are_tensorflows(data_type: DataType) -> None:
    if data_type in (DataType.RESOURCE, DataType.VARIANT):
        with ours.Graph().as_default(), pytest.raises(TypeError):
            ours.get_variable("w", [2], ours.as_dtype(python_name(data_type)))
        return

    def has_default(tf: Any, dtype: Any) -> bool:
        with tf.Graph().as_default():
            try:
                tf.get_variable("w", [2], dtype)
            except ValueError:
                return False
        return True

    expected = has_default(theirs(), require_tensorflow().as_dtype(int(data_type)))
    assert has_default(ours, to_numpy(data_type)) is expected
