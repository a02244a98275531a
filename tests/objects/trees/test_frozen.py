"""Which tensors of a tree nobody can write to any more, so that a snapshot need not copy them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cloudckpt.objects.trees.save import flatten_for_save
from cloudckpt.objects.trees.structure import STRUCTURE_TENSOR
from cloudckpt.variables.variable import Variable
from tests.objects.trees.rewriting import objects


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def aligned(count: int) -> np.ndarray:
    """An array of float32 at an address where JAX can use it without a copy."""
    raw = np.empty(count * 4 + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * 4].view(np.float32)


def test_what_is_made_for_the_save_and_what_can_not_change_is_frozen() -> None:
    tree = {
        "frozen": [True, 1, 2**80, 1.5, 1j, "a", b"b", np.float32(2), np.str_("c"), jnp.ones(3), Variable([1.0])],
        "key": jax.random.key(1),
        "written": [np.ones(3), read_only(np.ones(3)), np.broadcast_to(0.0, 3), np.array(["a"]), objects("a")],
        "none": None,
    }
    flat = flatten_for_save(tree)
    written = {f"written/{index}" for index in range(5)}
    assert flat.frozen == flat.arrays.keys() - written
    assert STRUCTURE_TENSOR in flat.frozen


def test_a_scalars_array_is_its_own() -> None:
    array = np.arange(3.0)
    flat = flatten_for_save({"a": array[1]})
    array[1] = 9
    assert flat.arrays["a"] == 1


def test_a_variable_is_given_another_array_and_keeps_nothing_of_the_users() -> None:
    initial = np.ones(3)
    variable = Variable(initial)
    flat = flatten_for_save({"a": variable})
    initial[:] = 2
    variable.assign_add(np.ones(3))
    variable.assign(np.zeros(3))
    assert flat.arrays["a"].tolist() == [1, 1, 1]


MAKERS = {
    "computed": lambda: jnp.arange(100_000.0) + 1,
    "of NumPy, copied": lambda: jnp.array(aligned(100_000)),
    "over NumPy's memory": lambda: jax.device_put(aligned(100_000)),
    "of many axes": lambda: jnp.ones((10, 10, 1000)).transpose(2, 0, 1),
    "small": lambda: jnp.arange(3.0),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_view_of_a_jax_array_outlives_its_donation_and_deletion(make) -> None:
    array = make()
    flat = flatten_for_save({"a": array})
    view = flat.arrays["a"]
    assert "a" in flat.frozen
    before = view.copy()
    step = jax.jit(lambda x: x * 0 - 5, donate_argnums=0)
    results = [step(array)]
    for _ in range(4):
        results.append(step(results[-1] + 1))
    jax.block_until_ready(results)
    if not array.is_deleted():
        array.delete()
    np.testing.assert_array_equal(view, before)


def test_a_view_of_a_jax_array_is_no_copy() -> None:
    array = jnp.arange(1000.0)
    assert np.shares_memory(flatten_for_save({"a": array}).arrays["a"], np.asarray(array))
