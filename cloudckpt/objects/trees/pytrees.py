"""Nodes of classes that the program has registered with JAX, such as Flax's, Optax's and Equinox's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.objects.trees.containers import Container
from cloudckpt.objects.trees.structure import Field
from cloudckpt.variables.foreign.imported import imported

if TYPE_CHECKING:
    from cloudckpt.objects.trees.structure import Key

__all__ = ["pytree"]


def pytree(thing: Any) -> Container | None:
    """A node of JAX's registry, by the keys of its key paths; None for what is a leaf there.

    As a dict; as a list where its children have no names but their places. What its class does not give as children
    (static fields, functions) is not saved: a template's own stays.
    """
    tree_util = getattr(imported("jax"), "tree_util", None)
    if tree_util is None:
        return None
    pairs, definition = tree_util.tree_flatten_with_path(thing, is_leaf=lambda node: node is not thing)
    if any(not path for path, _ in pairs):
        return None
    entries = [path[0] for path, _ in pairs]
    keys = [_key(entry) for entry in entries]
    places = all(isinstance(entry, tree_util.SequenceKey | tree_util.FlattenedIndexKey) for entry in entries)
    is_list = bool(keys) and places and keys == list(range(len(keys)))
    children = [child for _, child in pairs]
    return Container("list" if is_list else "dict", keys, children, partial(tree_util.tree_unflatten, definition))


def _key(entry: Any) -> Key:
    """The key that an entry of a key path of `jax.tree_util` stands for; of one of another class, its text."""
    if hasattr(entry, "name"):
        return Field(entry.name)
    for attribute in ("key", "idx"):
        if hasattr(entry, attribute):
            key: Key = getattr(entry, attribute)
            return key
    return str(entry)
