"""JAX's arrays: saved as they are, and restored into a mapping alone, on the devices that they were on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from cloudckpt.variables.dtypes import DataType, from_numpy
from cloudckpt.variables.holder import Holder, as_holder, like


def held(thing: Any) -> Holder:
    holder = as_holder(thing)
    assert holder is not None
    return holder


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float16", "bfloat16", "float8_e4m3fn", "int4", "uint8", "int32", "bool", "complex64"],
)
def test_an_array_is_read(dtype: str) -> None:
    array = jnp.array([[0, 1, 1], [1, 0, 1]], dtype)
    holder = held(array)
    expected = np.array([[0, 1, 1], [1, 0, 1]]).astype(getattr(ml_dtypes, dtype, dtype))
    assert (holder.name, holder.shape, holder.data_type) == ("", (2, 3), from_numpy(expected.dtype))
    assert (holder.device, holder.save_slice_info, holder.assignable) == ("", None, False)
    assert holder.read().dtype == expected.dtype
    np.testing.assert_array_equal(holder.read(), expected)


def test_an_array_of_a_cpu_is_read_without_a_copy() -> None:
    array = jnp.zeros(1000)
    assert np.shares_memory(held(array).read(), held(array).read())


def test_an_array_can_not_be_assigned_to_and_the_message_says_what_can() -> None:
    array = jnp.zeros(2)
    with pytest.raises(TypeError, match=r"saver\.restore\(arrays, path\)"):
        held(array).assign(np.ones(2, np.float32))
    assert array.tolist() == [0, 0]


def test_a_restored_array_is_where_the_existing_one_is() -> None:
    existing = jax.device_put(jnp.zeros((2, 3)), jax.devices()[0])
    restored = like(existing, np.ones((2, 3), np.float32))
    assert isinstance(restored, jax.Array)
    assert restored.sharding == existing.sharding
    np.testing.assert_array_equal(restored, np.ones((2, 3)))


def test_random_keys_have_no_dtype_of_tensorflows_but_their_data_has() -> None:
    key = jax.random.key(1)
    with pytest.raises(TypeError, match="key_data"):
        _ = held(key).data_type
    assert held(jax.random.key_data(key)).data_type is DataType.UINT32


def test_what_is_being_compiled_is_no_array() -> None:
    found = []

    @jax.jit
    def traced(x: Any) -> Any:
        found.append(as_holder(x))
        return x

    traced(jnp.zeros(2))
    assert found == [None]


def test_arrays_on_other_devices_and_on_several_come_back_there() -> None:
    program = Path(__file__).parent / "jax_on_two_devices.py"
    environment = {**os.environ, "PYTHONPATH": str(program.parent.parent.parent)}
    command = [sys.executable, "-W", "error", str(program)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout.splitlines(), run.returncode) == (["no device 1", "no device 2"], 0), run.stderr
