"""Trees that are told apart at a look, and what a prefix holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.bundle.index import decode_index
from cloudckpt.checkpoint.delete import delete_checkpoint, find_doomed
from cloudckpt.checkpoint.names import needed_data_files
from cloudckpt.checkpoint.prefix import list_prefix
from cloudckpt.errors import CheckpointNotFoundError
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.storage.local.store import LocalStore

if TYPE_CHECKING:
    from cloudckpt.storage.open import Location


def state(number: int) -> dict[str, Any]:
    """A tree whose every value tells the number, of a few parts, strings among them."""
    return {
        "weights": np.full(1500, number, np.float64),
        "matrix": np.asfortranarray(np.full((30, 40), number, np.float32)),
        "labels": np.array([f"{number}"] * 900, object),
        "step": number,
    }


def number_of(tree: dict[str, Any]) -> int:
    """The number of a tree, all of whose values tell the same one."""
    numbers = {*tree["weights"].tolist(), *tree["matrix"].ravel().tolist(), *map(int, tree["labels"]), tree["step"]}
    (number,) = numbers
    assert [tree["weights"].shape, tree["matrix"].shape, tree["labels"].shape] == [(1500,), (30, 40), (900,)]
    return int(number)


def held(place: Location) -> int | None:
    """The number of the whole checkpoint that a prefix holds, or None if it holds none."""
    try:
        return number_of(load_tree(place))
    except CheckpointNotFoundError:
        return None


def delete(place: Location) -> None:
    """Delete the checkpoint of a prefix, if there is one."""
    if (doomed := find_doomed(place)) is not None:
        delete_checkpoint(doomed)


def files(place: Location) -> set[str]:
    """The keys of all files of a prefix, temporaries included."""
    if isinstance(place.store, LocalStore):
        folder = os.path.dirname(place.key)
        return {os.path.join(folder, name) for name in os.listdir(folder)} if os.path.isdir(folder) else set()
    found = list_prefix(place)
    return {*found.data} | ({found.index.key} if found.index else set())


def named(place: Location) -> set[str]:
    """The keys of the index and the data files that it names: all that should be there."""
    found = list_prefix(place)
    if found.index is None:
        return set()
    index = decode_index(place.store.get(found.index.key)[0], found.index.key)
    return {found.index.key, *needed_data_files(place.key, index)}
