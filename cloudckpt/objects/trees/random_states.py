"""Random number generators, each saved as the plain tree of its state."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from cloudckpt.objects.trees.containers import Container
from cloudckpt.variables.foreign.imported import imported, is_instance
from cloudckpt.variables.foreign.jax import key_parts, wrap_key

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MaybeFloat", "jax_keys", "numpy_generator", "python_random"]

POSITIONS = {"pos": 624, "buffer_pos": 4}
"""The largest positions in the blocks that MT19937 and Philox draw from; NumPy takes any, and reads beyond."""
BIT_GENERATORS = frozenset(["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
STATE_WORDS = 625


class MaybeFloat:
    """A leaf that is None or a float from one moment to the next, so that a template can't say which."""

    __slots__ = ("value",)

    def __init__(self, value: float | None) -> None:
        self.value = value


def numpy_generator(thing: Any) -> Container | None:
    """NumPy's Generator, RandomState or one of its own bit generators, as the dict that its state is.

    One like it is a copy set to the new state. What `spawn` has counted is no part of the state.
    """
    if is_instance(thing, "numpy.random", "RandomState"):
        return _by_state(thing, thing.get_state(legacy=False), lambda made, state: made.set_state(state))
    if is_instance(thing, "numpy.random", "Generator"):
        state = thing.bit_generator.state
        return _by_state(thing, state, lambda made, state: setattr(made.bit_generator, "state", state))
    if is_instance(thing, "numpy.random", "BitGenerator"):
        return _by_state(thing, thing.state, lambda made, state: setattr(made, "state", state))
    return None


def _by_state(thing: Any, state: dict[str, Any], set_state: Callable[[Any, dict[str, Any]], None]) -> Container | None:
    if state.get("bit_generator") not in BIT_GENERATORS:
        return None  # what states may hold without harm is known of NumPy's own alone

    def make(children: list[Any]) -> Any:
        new = dict(zip(state, children, strict=True))
        _check_positions(new)
        made = copy.deepcopy(thing)
        try:
            set_state(made, new)
        except OverflowError as error:
            raise ValueError(f"it is no state of {new['bit_generator']}: {error}") from error
        return made

    return Container("dict", list(state), list(state.values()), make)


def _check_positions(state: dict[str, Any]) -> None:
    for part in (state, state["state"]):
        for key, largest in POSITIONS.items():
            if not 0 <= part.get(key, 0) <= largest:
                raise ValueError(f"a state's {key!r} is 0 to {largest}, not {part[key]}")


def python_random(thing: Any) -> Container | None:
    """A `random.Random`, or what its `getstate` returned, as the tuple that this is.

    Whether it keeps a number of `gauss` for the next call changes from call to call, and so does its last item: None or
    a float, which a template takes as either.
    """
    if type(thing) is tuple:
        return Container("tuple", range(3), (*thing[:2], MaybeFloat(thing[2])), tuple) if is_state(thing) else None
    if type(thing) is not getattr(imported("random"), "Random", None) or not is_state(state := thing.getstate()):
        return None

    def make(children: list[Any]) -> Any:
        made = copy.copy(thing)
        made.setstate(tuple(children))
        return made

    return Container("tuple", range(3), (*state[:2], MaybeFloat(state[2])), make)


def is_state(thing: tuple[Any, ...]) -> bool:
    """Whether a tuple is what `random.getstate` returns."""
    return len(thing) == 3 and type(thing[1]) is tuple and len(thing[1]) == STATE_WORDS and type(thing[0]) is int


def jax_keys(thing: Any) -> Container | None:
    """JAX's typed random keys, as their implementation and their data."""
    if (parts := key_parts(thing)) is None:
        return None
    implementation, data = parts

    def make(children: list[Any]) -> Any:
        if children[0] != implementation:
            raise ValueError(f"the checkpoint's keys are of {children[0]!r}, these of {implementation!r}")
        return thing if children[1] is data else wrap_key(implementation, children[1])

    return Container("dict", ["impl", "data"], [implementation, data], make)
