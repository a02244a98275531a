"""What the nodes of a tree are that are neither plain containers nor plain leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudckpt.objects.trees.containers import Container, data_class, mapping, named_tuple, standard_container
from cloudckpt.objects.trees.pytrees import pytree
from cloudckpt.objects.trees.random_states import jax_keys, numpy_generator, python_random
from cloudckpt.variables.foreign.imported import is_instance

__all__ = ["as_container"]

_RECOGNISERS = (
    named_tuple,
    standard_container,
    numpy_generator,
    python_random,
    pytree,  # before dataclasses and mappings: what was registered knows which of its fields are state
    mapping,
    data_class,
)


def as_container(thing: Any) -> Container | None:
    """A thing of any class as the container that is saved in its place; None for a leaf."""
    if is_instance(thing, "jax", "Array") or is_instance(thing, "jax", "ShapeDtypeStruct"):
        return jax_keys(thing)
    if isinstance(thing, np.ndarray | np.generic) or is_instance(thing, "torch", "Tensor"):
        return None
    for recognise in _RECOGNISERS:
        if (container := recognise(thing)) is not None:
            return container
    return None
