"""Random generators: their states in the file, new generators of the same kind in a template."""

from __future__ import annotations

import random
import uuid
from typing import Any

import numpy as np
import pytest

import cloudckpt as ckpt
from tests.objects.trees.equality import assert_same
from tests.objects.trees.rewriting import objects

KINDS = ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"]


def saved(tree: Any) -> str:
    return ckpt.save(f"memory://{uuid.uuid4().hex}/ckpt", tree)


def draws(generator: Any) -> list[float]:
    if isinstance(generator, np.random.BitGenerator):
        generator = np.random.Generator(generator)
    if isinstance(generator, np.random.Generator):
        return [*generator.random(5), *generator.integers(2**31, size=3, dtype=np.int32), *generator.normal(size=3)]
    if isinstance(generator, np.random.RandomState):
        return [*generator.random_sample(5), *generator.normal(size=3)]
    return [generator.random(), generator.gauss(0, 1), generator.gauss(0, 1), generator.getrandbits(70)]


def used(kind: str, seed: int) -> np.random.Generator:
    """A generator in the midst of its work: half of a 64 bit word is kept for the next call."""
    generator = np.random.Generator(getattr(np.random, kind)(seed))
    generator.integers(2**31, size=3, dtype=np.int32)
    return generator


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["Generator", "BitGenerator"])
def test_a_generator_goes_on_where_it_was(kind: str, form: str) -> None:
    first, template = used(kind, 1), used(kind, 2)
    if form == "BitGenerator":
        first, template = first.bit_generator, template.bit_generator
    prefix = saved({"rng": first})
    expected = draws(first)
    restored = ckpt.load(prefix, like={"rng": template})["rng"]
    assert type(restored) is type(template)
    assert draws(restored) == expected
    assert draws(template) != expected


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_template_the_state_comes_back_as_numpy_has_it(kind: str) -> None:
    generator = used(kind, 3)
    prefix = saved({"rng": generator})
    assert_same(ckpt.load(prefix), {"rng": generator.bit_generator.state})
    other = used(kind, 4)
    other.bit_generator.state = ckpt.load(prefix)["rng"]
    assert draws(other) == draws(generator)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_saved_by_hand_restores_a_generator(kind: str) -> None:
    generator = used(kind, 5)
    prefix = saved({"rng": generator.bit_generator.state})
    assert draws(ckpt.load(prefix, like={"rng": used(kind, 6)})["rng"]) == draws(generator)


@pytest.mark.parametrize("bits", [None, "PCG64"])
def test_a_random_state_keeps_its_gaussian(bits: str | None) -> None:
    def made(seed: int) -> np.random.RandomState:
        return np.random.RandomState(seed if bits is None else getattr(np.random, bits)(seed))

    state = made(1)
    state.normal()
    prefix = saved({"rng": state})
    template = made(2)
    restored = ckpt.load(prefix, like={"rng": template})["rng"]
    assert type(restored) is np.random.RandomState
    assert draws(restored) == draws(state)
    assert_same(ckpt.load(saved({"s": np.random.RandomState(1).get_state()}))["s"][0], "MT19937")


@pytest.mark.parametrize("gauss", [False, True])
@pytest.mark.parametrize("template_gauss", [False, True])
@pytest.mark.parametrize("form", ["Random", "getstate"])
def test_pythons_own_goes_on_with_and_without_a_gaussian_kept(gauss: bool, template_gauss: bool, form: str) -> None:
    first, template = random.Random(1), random.Random(2)
    if gauss:
        first.gauss(0, 1)
    if template_gauss:
        template.gauss(0, 1)
    prefix = saved({"rng": first if form == "Random" else first.getstate(), "x": 1})
    like = {"rng": template if form == "Random" else template.getstate(), "x": 0}
    assert ckpt.load(prefix)["rng"] == first.getstate()
    restored = ckpt.load(prefix, like=like)["rng"]
    if form == "getstate":
        assert restored == first.getstate()
        template.setstate(restored)
        restored = template
    assert draws(restored) == draws(first)


def test_a_generator_that_is_not_restored_stays_as_it_is() -> None:
    template = {"a": used("PCG64", 1), "b": random.Random(3), "x": 0}
    template["b"].gauss(0, 1)
    states = template["a"].bit_generator.state, template["b"].getstate()
    restored = ckpt.load(saved({"a": used("PCG64", 2), "b": random.Random(4), "x": 1}), like=template, only="x")
    assert restored["x"] == 1
    assert (restored["a"].bit_generator.state, restored["b"].getstate()) == states


def test_a_generator_that_the_checkpoint_lacks_stays_as_it_is() -> None:
    template = {"a": random.Random(3), "b": used("PCG64", 1), "x": 0}
    template["a"].gauss(0, 1)
    states = template["a"].getstate(), template["b"].bit_generator.state
    assert states[0][2] is not None  # the number that it keeps stays, too
    restored = ckpt.load(saved({"x": 1}), like=template, strict=False)
    assert restored["x"] == 1
    assert (restored["a"].getstate(), restored["b"].bit_generator.state) == states
    assert ckpt.load(saved(list(states[0][:2])), like=template["a"]).getstate() == (*states[0][:2], None)


def test_a_state_of_another_kind_is_refused() -> None:
    prefix = saved({"rng": used("PCG64", 1)})
    with pytest.raises(ckpt.StructureError, match=r"\['rng'\] can't be made of what was saved") as caught:
        ckpt.load(prefix, like={"rng": used("PCG64DXSM", 1)})
    assert caught.value.path == prefix
    with pytest.raises(ckpt.StructureError, match=r"'rng/state/key'\) is not in the checkpoint"):
        ckpt.load(prefix, like={"rng": used("MT19937", 1)})


HOSTILE: dict[str, tuple[Any, dict[str, Any]]] = {
    "position beyond the block": (used("MT19937", 1), {"state": {"pos": 625}}),
    "position far beyond": (np.random.RandomState(1), {"state": {"pos": 2**31 - 1}}),
    "negative position": (used("MT19937", 1).bit_generator, {"state": {"pos": -1}}),
    "position in Philox's buffer": (used("Philox", 1), {"buffer_pos": -1}),
    "beyond Philox's buffer": (used("Philox", 1), {"buffer_pos": 5}),
    "number beyond 128 bits": (used("PCG64", 1), {"state": {"inc": 2**200}}),
    "word beyond 32 bits": (used("SFC64", 1), {"uinteger": 2**70}),
}


@pytest.mark.parametrize(("generator", "change"), HOSTILE.values(), ids=HOSTILE)
def test_a_state_that_no_generator_can_have_is_refused(generator: Any, change: dict[str, Any]) -> None:
    state = ckpt.load(saved({"rng": generator}))["rng"]
    for key, value in change.items():
        state[key] = {**state[key], **value} if isinstance(value, dict) else value
    with pytest.raises(ckpt.StructureError, match=r"\['rng'\] can't be made of what was saved"):
        ckpt.load(saved({"rng": state}), like={"rng": generator})


def test_pythons_own_refuses_a_state_that_it_can_not_have() -> None:
    version, words, gauss = random.Random(1).getstate()
    prefix = saved({"rng": (version, (*words[:-1], 10**6), gauss)})
    with pytest.raises(ckpt.StructureError, match=r"\['rng'\] can't be made of what was saved"):
        ckpt.load(prefix, like={"rng": random.Random(1)})


def test_a_generator_without_a_state_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\['rng'\] can't be saved: it is random\.SystemRandom"):
        saved({"rng": random.SystemRandom()})


def test_positions_of_data_and_json_go_along() -> None:
    tree = {
        "iterator": b"\x00\xffopaque",
        "text": '{"epoch": 3}',
        "json": {"epoch": 3, "files": ["a", "b"], "shuffle": None, "done": False, "rate": 0.5, "nested": {"list": []}},
        "labels": objects("a", "bc"),
    }
    prefix = saved(tree)
    assert_same(ckpt.load(prefix), tree)
    assert_same(ckpt.load(prefix, like=tree), tree)
