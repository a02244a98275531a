"""A program that the tests run apart, as Keras takes its backend when it is imported: its variables as holders."""

import json
import sys

import keras
import ml_dtypes
import numpy as np

from cloudckpt.variables.dtypes import from_numpy
from cloudckpt.variables.holder import as_holder


def of_a_model() -> list[str]:
    """Assign other values to a model's variables; those of the model and its optimizer by name."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="d"), keras.layers.Dropout(0.5)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    for variable in model.variables:
        holder = as_holder(variable)
        assert holder.thing is variable
        value = holder.read() + np.asarray(2, holder.read().dtype)
        assert (holder.shape, holder.data_type) == (value.shape, from_numpy(value.dtype))
        assert holder.assignable
        holder.assign(value.copy())
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
        np.testing.assert_array_equal(as_holder(variable).read(), value)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(np.ones((1, 3), np.float32))),
        np.ones((1, 3)) @ as_holder(model.layers[0].kernel).read() + as_holder(model.layers[0].bias).read(),
        rtol=1e-5,
    )
    return [as_holder(variable).name for variable in model.variables + model.optimizer.variables]


def of_dtype(name: str) -> None:
    """Assign to a variable of a dtype."""
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    variable = keras.Variable(np.zeros(3), dtype=name, name="x", trainable=False)
    holder = as_holder(variable)
    assert holder.read().dtype == dtype, holder.read().dtype
    holder.assign(np.ones(3, dtype))
    np.testing.assert_array_equal(as_holder(variable).read(), np.ones(3, dtype))


for dtype_name in ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int32", "uint8", "bool"):
    of_dtype(dtype_name)
json.dump({"backend": keras.backend.backend(), "names": of_a_model()}, sys.stdout)
