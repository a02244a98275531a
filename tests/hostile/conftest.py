"""Whole checkpoints to damage, one of each kind, and what is in them."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.hostile.forgery import Forgery, elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Case = tuple["Path", dict[str, Any]]

MEMORY = 48 << 20
"""Bytes: the four buffers of `verify`, and what Python itself takes meanwhile."""

MATRIX = elements((4, 3))
QUARTERS = tuple(((row, 2), (0, None)) for row in (0, 2))


def plain() -> tuple[Forgery, dict[str, Any]]:
    tensors = {
        "a": np.arange(5, dtype=np.int16),
        "b/c": elements((2, 2)),
        "empty": np.empty((0, 2)),
        "step": np.array(7),
    }
    forgery = Forgery()
    for name, array in tensors.items():
        forgery.tensor(name, array, align=8)
    return forgery, tensors


def strings() -> tuple[Forgery, dict[str, Any]]:
    forgery = Forgery()
    forgery.strings("s", [b"one", b"", b"three" * 50])
    forgery.strings("none", [])
    return forgery, {"s": np.array([b"one", b"", b"three" * 50], object), "none": np.array([], object)}


def slices() -> tuple[Forgery, dict[str, Any]]:
    forgery = Forgery()
    forgery.sliced("w", MATRIX, QUARTERS)
    return forgery, {"w": MATRIX}


def shards() -> tuple[Forgery, dict[str, Any]]:
    forgery = Forgery(num_shards=3)
    forgery.sliced("w", MATRIX, QUARTERS, shards=(0, 2))
    forgery.tensor("a", elements((3,)), shard_id=1)
    forgery.strings("s", [b"x", b"yz"], shard_id=2)
    return forgery, {"w": MATRIX, "a": elements((3,)), "s": np.array([b"x", b"yz"], object)}


KINDS: dict[str, Callable[[], tuple[Forgery, dict[str, Any]]]] = {
    "plain": plain,
    "strings": strings,
    "slices": slices,
    "shards": shards,
}


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """A whole checkpoint of each kind in turn: its prefix, and its tensors."""
    forgery, tensors = KINDS[request.param]()
    return forgery.write(tmp_path / "ckpt"), tensors


@pytest.fixture
def small_memory() -> Iterator[None]:
    """The test allocates next to nothing: far less than what the checkpoint claims, or what one request may bring."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY
