"""Checkpoints by object, as `tf.train.Checkpoint` writes them, read by the names that their variables had.

Such a checkpoint keeps variables under keys that say where in a tree of objects they hang; the tree has each variable's
name as well, an optimizer's slot variables among them ("Adam/dense/kernel/m").

Sources: python/training/saver.py (object_graph_key_mapping); core/protobuf/trackable_object_graph.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.collection import collection_paused
from cloudckpt.errors import InvalidArgumentError, TensorNotFoundError
from cloudckpt.objects.object_graph.stored import damaged_graph, read_stored_graph
from cloudckpt.saver.listed_names import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.checkpoint.opened import OpenCheckpoint
    from cloudckpt.objects.object_graph.stored import StoredGraph

__all__ = ["keys_by_object"]


def keys_by_object(checkpoint: OpenCheckpoint, names: Iterable[str]) -> dict[str, str]:
    """The keys in the checkpoint of the variables that had these names.

    Where TensorFlow takes the last of several variables of one name, this refuses to choose.

    Raises:
        TensorNotFoundError: it is no checkpoint by object, or none of its variables had one of the names; the message
            sets the names against those that are there.
        InvalidArgumentError: several variables had one of the names.
        CheckpointDamagedError: its tree is not one, or names a key that the checkpoint does not have.
        CloudckptError: and what `OpenCheckpoint.read` raises.

    Cost: a ranged GET.
    """
    wanted, keys = list(names), _keys(read_stored_graph(checkpoint))
    if missing := [name for name in wanted if name not in keys]:
        raise _names_are_missing(checkpoint, missing, keys.keys() - wanted, len(set(wanted) & keys.keys()))
    return {name: _only_key(checkpoint, name, [*keys[name]]) for name in wanted}


@collection_paused()
def _keys(graph: StoredGraph) -> dict[str, dict[str, None]]:
    """The keys of all variables by their names, in order; what has no name, as iterators and tables, is left out."""
    found: dict[str, dict[str, None]] = {}
    for stored in graph.objects:
        for attribute in stored.attributes:
            if attribute.full_name:
                found.setdefault(attribute.full_name, {})[attribute.key] = None
    return found


def _only_key(checkpoint: OpenCheckpoint, name: str, keys: list[str]) -> str:
    url = checkpoint.prefix.url
    if len(keys) > 1:
        raise InvalidArgumentError(
            f"{len(keys)} variables of {url!r} had the name {name!r}, under the keys {listed(keys)}: pass a dict that "
            "maps the key of the one that is meant to the variable to restore",
            path=url,
            tensor=name,
        )
    if keys[0] not in checkpoint.tensors:
        raise damaged_graph(checkpoint, f"says that the variable {name!r} is stored as {keys[0]!r}, which is not there")
    return keys[0]


def _names_are_missing(
    checkpoint: OpenCheckpoint, missing: list[str], others: set[str], matched: int
) -> TensorNotFoundError:
    url = checkpoint.prefix.url
    return TensorNotFoundError(
        f"{url!r} was written by object (tf.train.Checkpoint, or save_weights), and none of its variables had the "
        f"names {listed(missing)}. It has variables that were not asked for, {listed(sorted(others)) or 'none'}; "
        f"{matched} of the names did match. Names may have changed since, as by a suffix '_1': pass a dict that maps "
        "the old names to the variables, or leave out the variables that are new",
        path=url,
        tensor=missing[0],
    )
