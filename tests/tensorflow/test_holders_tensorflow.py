"""Variables of TensorFlow, tf_keras and Keras 3 as savers see them: by the names that TensorFlow's Saver gives them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from cloudckpt.saver.saver import Saver
from cloudckpt.variables.conversion import as_array, converted
from cloudckpt.variables.dtypes import DataType, to_numpy
from cloudckpt.variables.holder import Holder, as_holder
from cloudckpt.variables.partitions.save_slice_info import SaveSliceInfo
from tests.golden.cases import tensors

if TYPE_CHECKING:
    from pathlib import Path


def held(thing: Any) -> Holder:
    holder = as_holder(thing)
    assert holder is not None
    assert holder.thing is thing
    return holder


def names_of_tensorflows_saver(tf: Any, prefix: Path, variables: list[Any]) -> set[str]:
    """The names under which TensorFlow's Saver, executing eagerly, saves variables."""
    path = tf.compat.v1.train.Saver(variables).save(None, str(prefix))
    return {name for name, _ in tf.train.list_variables(path)}


DTYPES = [
    *(DataType.FLOAT, DataType.DOUBLE, DataType.HALF, DataType.BFLOAT16, DataType.COMPLEX64, DataType.COMPLEX128),
    *(DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64, DataType.UINT8, DataType.UINT16, DataType.UINT32),
    *(DataType.UINT64, DataType.BOOL, DataType.QINT8, DataType.QUINT8, DataType.QINT32, DataType.STRING),
    *(DataType.FLOAT8_E4M3FN, DataType.FLOAT8_E5M2),
]


@pytest.mark.parametrize("data_type", DTYPES)
def test_an_eager_variable_of_every_dtype_is_read_and_assigned(tf: Any, data_type: DataType) -> None:
    values = {**tensors("dtypes"), "string/vector": np.array([b"", b"a", b"bc"], object)}
    value = values[f"{data_type.name.lower()}/vector"]
    plain = value[value.dtype.names[0]] if value.dtype.names else value
    variable = tf.Variable(tf.constant(plain, tf.as_dtype(int(data_type))))
    holder = held(variable)
    assert (holder.data_type, holder.shape, holder.assignable) == (data_type, value.shape, True)
    assert holder.read().dtype == to_numpy(data_type)
    np.testing.assert_array_equal(holder.read(), value)
    holder.assign(value[::-1].copy())
    np.testing.assert_array_equal(holder.read(), value[::-1])
    assert variable.numpy().tolist() == plain[::-1].tolist()


@pytest.mark.parametrize("data_type", DTYPES)
def test_a_scalar_of_every_dtype_is_saved_and_restored(tf: Any, tmp_path: Path, data_type: DataType) -> None:
    one = "one" if data_type is DataType.STRING else True if data_type is DataType.BOOL else 1
    value = converted(one, data_type)
    variable = tf.Variable(tf.constant(value[value.dtype.names[0]] if value.dtype.names else value, int(data_type)))
    path = Saver([variable]).save(None, str(tmp_path / "model"), write_meta_graph=False)
    holder = held(variable)
    holder.assign(converted("", data_type) if data_type is DataType.STRING else np.zeros_like(value))
    Saver([variable]).restore(None, path)
    assert holder.read() == value
    assert as_array(variable) == value
    assert as_array(variable).dtype == to_numpy(data_type)


def test_a_variable_is_read_in_tensorflows_memory_and_later_changes_do_not_show(tf: Any) -> None:
    variable = tf.Variable(tf.zeros(1000))
    before = held(variable).read()
    assert np.shares_memory(before, held(variable).read())
    held(variable).assign(np.ones(1000, np.float32))
    assert (before.max(), variable.numpy().min()) == (0, 1)


def test_a_variables_name_and_device_are_those_of_tensorflows_saver(tf: Any, tmp_path: Path) -> None:
    with tf.name_scope("scope"):
        variables = [tf.Variable(1.0, name="w"), tf.Variable([1, 2])]
    assert {held(each).name for each in variables} == {"scope/w", "scope/Variable"}
    assert names_of_tensorflows_saver(tf, tmp_path / "model", variables) == {"scope/w", "scope/Variable"}
    assert held(variables[0]).device == variables[0].device == "/job:localhost/replica:0/task:0/device:CPU:0"


@pytest.mark.parametrize("shape", [[None, 2], None])
def test_a_shape_that_may_change_is_unknown(tf: Any, shape: Any) -> None:
    variable = tf.Variable([[1.0, 2.0]], shape=tf.TensorShape(shape))
    assert held(variable).shape is None
    held(variable).assign(np.zeros((3, 2), np.float32))
    assert held(variable).read().shape == (3, 2)


def test_a_slice_that_tensorflow_made_says_of_what(tf: Any) -> None:
    v1 = tf.compat.v1
    parts = v1.get_variable("w", [4, 3], partitioner=v1.fixed_size_partitioner(2), initializer=v1.zeros_initializer())
    assert [held(part).name for part in parts] == ["w/part_0", "w/part_1"]
    assert [held(part).save_slice_info for part in parts] == [
        SaveSliceInfo("w", (4, 3), (start, 0), (2, 3)) for start in (0, 2)
    ]
    assert [held(part).save_slice_info.spec for part in parts] == [part._save_slice_info.spec for part in parts]


@pytest.mark.parametrize("use_resource", [True, False])
def test_a_variable_of_a_graph_is_refused_with_the_way_out(tf: Any, use_resource: bool) -> None:
    with tf.Graph().as_default():
        variable = tf.compat.v1.Variable(1.0, name="w", use_resource=use_resource)
    with pytest.raises(TypeError, match=r"w:0 is a variable of a TensorFlow graph.*TensorFlow's Saver"):
        as_holder(variable)


def test_a_tensor_is_no_variable(tf: Any) -> None:
    assert as_holder(tf.zeros(2)) is None


def test_a_variable_of_a_strategy_is_one(tf: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        variable = tf.Variable([1.0, 2.0], name="w")
    held(variable).assign(np.array([3.0, 4.0], np.float32))
    assert (held(variable).name, held(variable).read().tolist()) == ("w", [3.0, 4.0])


def test_variables_of_tf_keras_have_the_names_of_tensorflows_saver(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    layers = [tf_keras.layers.Dense(2, name="d"), tf_keras.layers.BatchNormalization(name="n")]
    model = tf_keras.Sequential([tf_keras.Input((3,)), *layers])
    optimizer = tf_keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    names = {held(each).name for each in variables}
    assert {"d/kernel", "n/moving_mean", "m/d/kernel"} <= names
    assert names == names_of_tensorflows_saver(tf, tmp_path / "model", variables)
    for each in model.variables:
        held(each).assign(np.full(each.shape, 3.0, np.float32))
    assert {each.numpy().min() for each in model.variables} == {3.0}


def test_a_variable_of_mixed_precision_is_saved_as_it_is_kept(tf: Any, tf_keras: Any) -> None:
    layer = tf_keras.layers.Dense(2, dtype=tf_keras.mixed_precision.Policy("mixed_bfloat16"))
    layer.build((None, 3))
    assert (held(layer.kernel).data_type, held(layer.kernel).read().dtype) == (DataType.FLOAT, np.float32)


def test_a_variable_of_keras_3_has_the_name_of_its_tensorflow_variable(tf: Any, tmp_path: Path) -> None:
    import keras

    layer = keras.layers.Dense(2, name="d")
    layer.build((None, 3))
    assert held(layer.kernel).name == held(layer.kernel.value).name == "d/kernel"
    values = [each.value for each in layer.variables]
    assert names_of_tensorflows_saver(tf, tmp_path / "model", values) == {held(each).name for each in layer.variables}
    held(layer.kernel).assign(np.ones((3, 2), np.float32))
    assert layer.kernel.numpy().tolist() == [[1, 1]] * 3


def test_tensorflows_saver_saves_variables_of_keras_3_one_over_the_other(tf: Any, tmp_path: Path) -> None:
    import keras

    variables = [keras.Variable(np.zeros(2), name="a"), keras.Variable(np.zeros(3), name="b")]
    assert names_of_tensorflows_saver(tf, tmp_path / "model", variables) == {"VARIABLE_VALUE"}
    assert [held(each).name for each in variables] == ["a", "b"]


def test_bfloat16_is_not_widened(tf: Any) -> None:
    variable = tf.Variable(tf.ones(2, tf.bfloat16))
    assert held(variable).read().dtype == ml_dtypes.bfloat16


def test_both_savers_take_the_same_variables_under_the_same_names(tf: Any, tf_keras: Any, tmp_path: Path) -> None:
    layer = tf_keras.layers.Dense(2, name="d")
    layer.build((None, 3))
    variables = [*layer.variables, tf.Variable([b"a", b"bc"], name="texts"), tf.Variable(tf.ones(2, tf.bfloat16))]
    values = [held(each).read().copy() for each in variables]
    savers = [Saver, tf.compat.v1.train.Saver]
    for number, (saves, restores) in enumerate([savers, savers[::-1]]):
        path = saves(variables).save(None, str(tmp_path / f"model{number}"))
        for each in variables:
            held(each).assign(held(each).read() * 2)
        restores(variables).restore(None, path)
        for each, value in zip(variables, values, strict=True):
            np.testing.assert_array_equal(held(each).read(), value)
