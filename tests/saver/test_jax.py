"""Arrays of real JAX: a mapping from names to them in the place of a session, saved and filled."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt import train
from tests.servers import missing_part

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def jax() -> Any:
    if importlib.util.find_spec("jax") is None:
        missing_part("JAX", "pip install 'cloudckpt[test]'")
    import jax

    return jax


@pytest.fixture
def state(jax: Any) -> dict[str, Any]:
    jnp = jax.numpy
    return {
        "layer/kernel": jnp.arange(12.0).reshape(3, 4),
        "layer/bias": jnp.arange(4, dtype=jnp.bfloat16),
        "step": jnp.int32(7),
        "mask": jnp.array([True, False]),
        "phase": jnp.array([1 + 2j]),
        "tiny": jnp.arange(3, dtype=jnp.float8_e4m3fn),
        "none": jnp.zeros((0, 2)),
    }


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return str(tmp_path / "ckpt")


def blank(jax: Any, state: dict[str, Any]) -> dict[str, Any]:
    return {name: jax.numpy.zeros_like(array) for name, array in state.items()}


def assert_equal(jax: Any, found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert isinstance(found[name], jax.Array)
        assert found[name].dtype == array.dtype
        assert found[name].sharding == array.sharding
        assert np.asarray(found[name]).tobytes() == np.asarray(array).tobytes()


def test_a_mapping_is_saved_and_filled(jax: Any, state: dict[str, Any], prefix: str) -> None:
    saver = train.Saver(state)
    path = saver.save(state, prefix, global_step=state["step"])
    assert path == f"{prefix}-7"
    found = blank(jax, state)
    saver.restore(found, path)
    assert_equal(jax, found, state)


def test_what_the_mapping_holds_later_is_saved(jax: Any, state: dict[str, Any], prefix: str) -> None:
    """A step of training puts new arrays under the old names."""
    saver = train.Saver(state)
    trained = jax.jit(lambda arrays: jax.tree.map(lambda array: ~array if array.dtype == bool else array * 2, arrays))(
        state
    )
    path = saver.save(trained, prefix)
    found = blank(jax, state)
    saver.restore(found, path)
    assert_equal(jax, found, trained)


def test_their_own_values_are_saved_without_a_session(jax: Any, state: dict[str, Any], prefix: str) -> None:
    path = ckpt.eager.Saver(state).save(prefix)
    found = {name: np.asarray(array) for name, array in state.items()}
    with ckpt.open_checkpoint(path) as checkpoint:
        for name, array in checkpoint.arrays():
            assert array.dtype == found[name].dtype
            assert array.tobytes() == found[name].tobytes()


def test_they_can_not_be_assigned_to(jax: Any, state: dict[str, Any], prefix: str) -> None:
    saver = train.Saver(state)
    path = saver.save(None, prefix)
    with pytest.raises(TypeError, match="to a mapping instead"):
        saver.restore(None, path)


def test_the_new_array_is_sharded_as_the_old_one(jax: Any, prefix: str) -> None:
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("x",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    state = {"w": jax.device_put(np.arange(8.0, dtype=np.float32), sharding)}
    saver = train.Saver(state)
    path = saver.save(state, prefix)
    found = {"w": jax.device_put(np.zeros(8, np.float32), sharding)}
    saver.restore(found, path)
    assert_equal(jax, found, state)


def test_the_shape_must_fit(jax: Any, state: dict[str, Any], prefix: str) -> None:
    path = train.Saver(state).save(state, prefix)
    found = blank(jax, state) | {"layer/bias": jax.numpy.zeros(5, jax.numpy.bfloat16)}
    before = dict(found)
    with pytest.raises(ValueError, match="layer/bias"):
        train.Saver(found).restore(found, path)
    assert all(found[name] is array for name, array in before.items())


def test_random_keys_are_refused_by_name(jax: Any, prefix: str) -> None:
    with pytest.raises(TypeError, match="key_data"):
        train.Saver({"key": jax.random.key(0)}).save(None, prefix)
