"""JAX's arrays, keys and nodes in trees: restored on their devices, of their classes; without a template plain."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudckpt as ckpt
from cloudckpt.objects.trees.save import tensors_of
from tests.objects.trees.equality import assert_same


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


class AdamState(NamedTuple):
    """As an optimizer of Optax has it."""

    count: Any
    mu: Any
    nu: Any


@partial(jax.tree_util.register_dataclass, data_fields=["step", "params"], meta_fields=["apply"])
@dataclasses.dataclass(frozen=True)
class TrainState:
    """As Flax has it: a function beside the state."""

    step: Any
    params: Any
    apply: Any


@jax.tree_util.register_pytree_node_class
class Pair:
    """A node without names."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def tree_flatten(self) -> Any:
        return (self.first, self.second), "static"

    @classmethod
    def tree_unflatten(cls, static: str, children: Any) -> Pair:
        assert static == "static"
        return cls(*children)


class Named:
    """A node with the names that it says."""

    def __init__(self, keys: Any, children: Any) -> None:
        self.keys, self.children = keys, children


jax.tree_util.register_pytree_with_keys(
    Named,
    lambda node: (list(zip(node.keys, node.children, strict=True)), tuple(node.keys)),
    Named,
)


def train_state(value: float) -> TrainState:
    params = {"dense": {"kernel": jnp.full((2, 3), value, jnp.bfloat16), "bias": jnp.full(3, value)}}
    opt = AdamState(jnp.int32(value), params, jax.tree.map(jnp.zeros_like, params))
    return TrainState(int(value), {"params": params, "opt": (opt, None, Pair(jnp.float32(value), [value]))}, print)


def same(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert type(one) is type(other)
        if not isinstance(other, jax.Array):
            assert one == other
            continue
        assert (one.dtype, one.sharding, one.committed) == (other.dtype, other.sharding, other.committed)
        bits = jax.random.key_data if jnp.issubdtype(other.dtype, jax.dtypes.prng_key) else np.asarray
        assert np.asarray(bits(one)).tobytes() == np.asarray(bits(other)).tobytes()


def test_a_training_state_comes_back_whole() -> None:
    state = train_state(3.0)
    restored = ckpt.load(saved(state), like=train_state(0.0))
    same(restored, state)
    assert restored.apply is print
    assert isinstance(restored.params["opt"][0], AdamState)


def test_without_a_template_it_is_plain() -> None:
    restored = ckpt.load(saved(train_state(3.0)))
    assert [*restored] == ["step", "params"]
    opt = restored["params"]["opt"]
    assert type(opt) is tuple
    assert [*opt[0]] == ["count", "mu", "nu"]
    assert_same(opt[0]["count"], np.array(3, np.int32))
    assert_same(opt[0]["mu"]["dense"]["kernel"], np.full((2, 3), 3, ml_dtypes.bfloat16))
    assert opt[1] is None
    assert_same(opt[2], [np.array(3, np.float32), [3.0]])


def test_names_are_those_of_jaxs_key_paths() -> None:
    state = train_state(1.0)
    paths = jax.tree_util.tree_flatten_with_path(state)[0]
    expected = {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths}
    assert tensors_of(state).keys() - {"_CLOUDCKPT_TREE"} == expected


def test_abstract_templates_become_arrays() -> None:
    state = train_state(3.0)
    abstract = jax.eval_shape(lambda: {"params": state.params, "key": jax.random.key(0)})
    restored = ckpt.load(saved({"params": state.params, "key": jax.random.key(7)}), like=abstract)
    expected = {"params": jax.tree.map(jnp.asarray, state.params), "key": jax.random.key(7)}
    assert jax.tree.structure(restored) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(restored), jax.tree.leaves(expected), strict=True):
        same(one, other)


def test_a_leaf_of_a_weak_type_takes_a_python_scalar() -> None:
    prefix = saved({"step": 3, "rate": 0.5})
    abstract = jax.eval_shape(lambda: {"step": 0, "rate": 0.0})
    for template in (abstract, {"step": jnp.asarray(0), "rate": jnp.asarray(0.0)}):
        restored = ckpt.load(prefix, like=template)
        assert {name: (array.dtype, array.item()) for name, array in restored.items()} == {
            "step": (np.int32, 3),
            "rate": (np.float32, 0.5),
        }
    with pytest.raises(ckpt.StructureError, match=r"\['step'\] is int32, tensor 'step' float64"):
        ckpt.load(saved({"step": 3.5, "rate": 0.5}), like=abstract)


WEAK = {
    "float": lambda: jnp.asarray(1.5),
    "int": lambda: jnp.asarray(3),
    "complex": lambda: jnp.asarray(1.5j),
    "of a shape": lambda: jnp.full((2, 3), 2.5),
}


@pytest.mark.parametrize("make", WEAK.values(), ids=WEAK)
@pytest.mark.parametrize("abstract", [False, True])
def test_a_weak_type_stays_weak(make: Any, abstract: bool) -> None:
    expected, prefix = make(), saved({"a": make()})
    assert expected.weak_type  # else nothing is tried
    like = {"a": jax.eval_shape(make) if abstract else jnp.zeros_like(expected) * make()}
    restored = ckpt.load(prefix, like=like)["a"]
    same(restored, expected)
    assert restored.weak_type
    bits = jnp.ones((), jnp.bfloat16)
    assert (restored * bits).dtype == (expected * bits).dtype


def test_a_strong_type_stays_strong() -> None:
    assert not ckpt.load(saved({"a": jnp.asarray(1.5)}), like={"a": jnp.zeros(())})["a"].weak_type


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.float64, np.complex128])
def test_elements_that_jax_would_cut_are_refused(dtype: Any) -> None:
    prefix = saved({"a": {"b": np.full(2, 3, dtype)}})
    like = {"a": {"b": jax.ShapeDtypeStruct((2,), dtype)}}
    with pytest.raises(ckpt.StructureError, match=r"\['a'\]\['b'\] of the template: JAX makes .* jax_enable_x64"):
        ckpt.load(prefix, like=like)
    with jax.enable_x64(True):
        same(ckpt.load(prefix, like=like)["a"]["b"], jnp.full(2, 3, dtype))


def test_what_was_donated_is_a_template_and_no_more() -> None:
    state = {"a": {"b": jnp.arange(3.0)}, "rng": jax.random.key(7)}
    prefix = saved(state)
    gone = {"a": {"b": jnp.zeros(3)}, "rng": jax.random.key(0)}
    jax.jit(lambda array: array + 1, donate_argnums=0)(gone["a"]["b"])
    gone["rng"].delete()
    same(ckpt.load(prefix, like=gone), state)
    with pytest.raises(ckpt.StructureError, match=r"\['a'\]\['b'\] can't be saved: this array was deleted, or donated"):
        saved({"a": gone["a"]})
    with pytest.raises(TypeError, match=r"\['rng'\]\['data'\] can't be saved"):
        saved({"rng": gone["rng"]})


def test_an_abstract_leaf_holds_nothing_to_save() -> None:
    with pytest.raises(TypeError, match=r"\['a'\] can't be saved: it is .*ShapeDtypeStruct"):
        saved({"a": jax.ShapeDtypeStruct((2,), np.float32)})


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg", "unsafe_rbg"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 1)])
def test_random_keys_keep_their_implementation(implementation: str, shape: tuple[int, ...]) -> None:
    keys = jax.random.split(jax.random.key(5, impl=implementation), shape)
    template = jax.random.split(jax.random.key(0, impl=implementation), shape)
    prefix = saved({"keys": keys})
    same(ckpt.load(prefix, like={"keys": template})["keys"], keys)
    struct = jax.ShapeDtypeStruct(shape, keys.dtype)
    assert jax.random.key_impl(ckpt.load(prefix, like={"keys": struct})["keys"]) == implementation
    plain = ckpt.load(prefix)["keys"]
    same(jax.random.wrap_key_data(jnp.asarray(plain["data"]), impl=plain["impl"]), keys)


def test_random_keys_of_another_implementation_are_refused() -> None:
    prefix = saved({"rng": jax.random.key(1, impl="rbg")})
    with pytest.raises(ckpt.StructureError, match=r"\['rng'\] can't be made .* of 'rbg', these of 'unsafe_rbg'"):
        ckpt.load(prefix, like={"rng": jax.random.key(1, impl="unsafe_rbg")})
    with pytest.raises(ckpt.StructureError, match=r"\['rng'\]\['data'\] has shape \(2,\), tensor 'rng/data' \(4,\)"):
        ckpt.load(prefix, like={"rng": jax.random.key(1)})


def test_old_random_keys_are_arrays() -> None:
    prefix = saved({"rng": jax.random.PRNGKey(3)})
    same(ckpt.load(prefix, like={"rng": jax.random.PRNGKey(0)})["rng"], jax.random.PRNGKey(3))


def test_what_is_not_selected_is_the_templates_own() -> None:
    key = jax.random.key(0)
    template = {"a": jnp.zeros(2), "key": key, "abstract": jax.ShapeDtypeStruct((), key.dtype)}
    restored = ckpt.load(saved({"a": jnp.zeros(3), "b": 1}), like={**template, "b": 0}, only="b")
    assert restored["a"] is template["a"]
    assert restored["abstract"] is template["abstract"]
    same(restored["key"], template["key"])


def test_arrays_are_interchangeable_with_numpys_and_cast() -> None:
    prefix = saved({"a": np.arange(3.0)})
    with pytest.raises(ckpt.StructureError, match=r"\['a'\] is float32, tensor 'a' float64 \(cast=True"):
        ckpt.load(prefix, like={"a": jnp.zeros(3)})
    same(ckpt.load(prefix, like={"a": jnp.zeros(3, jnp.bfloat16)}, cast=True)["a"], jnp.arange(3, dtype=jnp.bfloat16))
    numbers = np.arange(3, dtype=np.int32)
    assert_same(ckpt.load(saved({"a": jnp.asarray(numbers)}), like={"a": np.zeros_like(numbers)})["a"], numbers)


def test_keys_of_nodes_of_ones_own() -> None:
    dict_key, name_key = jax.tree_util.DictKey, jax.tree_util.GetAttrKey
    node = Named([dict_key("a"), name_key("b"), dict_key(3), "other"], [1, 2, 3, 4])
    assert ckpt.load(saved({"n": node}))["n"] == {"a": 1, "b": 2, 3: 3, "other": 4}
    assert ckpt.load(saved({"n": node}), like={"n": node})["n"].children == (1, 2, 3, 4)
    with pytest.raises(ckpt.StructureError, match=r"\['n'\], a Named, has two children of one key"):
        saved({"n": Named([dict_key("a"), name_key("a")], [1, 2])})
    with pytest.raises(TypeError, match=r"key \(1, 2\) at \['n'\] is a tuple"):
        saved({"n": Named([dict_key((1, 2))], [1])})


def test_a_function_in_a_node_is_refused_by_its_path() -> None:
    with pytest.raises(TypeError, match=r"\['n'\]\[0\] can't be saved: it is builtins\.builtin_function_or_method"):
        saved({"n": Pair(print, 1)})


def test_what_is_being_compiled_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\['x'\] can't be saved"):
        jax.jit(lambda x: saved({"x": x}))(jnp.zeros(2))


DTYPES = ["float32", "bfloat16", "float16", "int32", "uint8", "bool", "complex64", "float8_e4m3fn", "int4"]
arrays = st.builds(
    lambda shape, dtype, seed: jnp.asarray(np.random.default_rng(seed).integers(0, 2, shape)).astype(dtype),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.sampled_from(DTYPES),
    st.integers(0, 100),
)
leaves = arrays | st.integers(0, 100).map(jax.random.key) | st.integers(-3, 3) | st.text("ab", max_size=2)
nodes = st.recursive(
    leaves,
    lambda children: st.one_of(
        st.builds(Pair, children, children),
        st.builds(lambda first, second: TrainState(first, second, len), children, children),
        st.builds(AdamState, children, children, children),
        st.dictionaries(st.sampled_from("abc"), children, max_size=3),
        st.lists(children, max_size=3),
    ),
    max_leaves=6,
)


@given(nodes)
def test_any_tree_of_jaxs(tree: Any) -> None:
    prefix = saved({"root": tree})
    same(ckpt.load(prefix, like={"root": tree}), {"root": tree})
    assert len(jax.tree.leaves(ckpt.load(prefix))) == len(tensors_of({"root": tree})) - 1


def test_arrays_come_back_to_the_devices_of_the_template(tmp_path: Path) -> None:
    program = Path(__file__).parent / "jax_on_two_devices.py"
    environment = {**os.environ, "PYTHONPATH": str(program.parents[3])}
    command = [sys.executable, "-W", "error", str(program), str(tmp_path / "ckpt")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("all on their devices\n", 0), run.stderr
