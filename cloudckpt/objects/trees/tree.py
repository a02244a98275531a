"""Trees of arrays, taken apart into named tensors and put together again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt.errors import StructureError
from cloudckpt.objects.trees.leaves import PLAIN_TYPES, encode_leaf
from cloudckpt.objects.trees.paths import RESERVED_STARTS, check_key, check_name, python_path
from cloudckpt.objects.trees.random_states import MaybeFloat, is_state
from cloudckpt.objects.trees.recognise import as_container
from cloudckpt.objects.trees.structure import MAX_DEPTH, STRUCTURE_TENSOR, ContainerNode, Node, join_name
from cloudckpt.variables.holder import as_holder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from cloudckpt.objects.trees.containers import Container
    from cloudckpt.objects.trees.paths import Keys
    from cloudckpt.objects.trees.structure import Key
    from cloudckpt.variables.holder import Holder

__all__ = ["FlatTree", "TreeWalk", "flatten", "holder_of", "leaves_of", "read_held", "rebuild", "unsaveable"]


@dataclass(slots=True)
class FlatTree:
    """A tree taken apart; no object is made for a leaf, as so many would set off the garbage collector."""

    tree: object
    structure: Node = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """the tensors that hold the leaves, by name, in the order of the tree; the structure's own may come after them"""
    unwritten: set[str] = field(default_factory=set)
    """the leaves of other frameworks among them whose memory nobody writes to, though they are arrays"""

    @property
    def frozen(self) -> set[str]:
        """The names of the tensors whose memory nobody can write to any more, so that a snapshot need not copy them.

        NumPy's arrays are not among them, also not read-only ones, which may be written to through what they are views
        of; nor are tensors of torch in the host's memory. JAX's arrays are, and a NumPy view of one outlives its
        donation and deletion. One that JAX made over memory of NumPy or torch without a copy, as `jax.device_put` may,
        changes with that memory, for JAX as for us: nothing tells it from others.
        """
        made_here = {name for name, tag in self.tags().items() if not tag.startswith("array")}
        return (self.arrays.keys() & {STRUCTURE_TENSOR}) | made_here | self.unwritten

    def tags(self) -> dict[str, str]:
        """The leaves' tags, by tensor name, in the order of the tree."""
        return dict(zip(self.arrays, _tags(self.structure), strict=False))

    def path(self, name: str) -> str:
        """How Python reaches the first leaf that has this tensor name, as `['layer1'].kernel`. Searches for it."""
        return next(python_path(keys) for found, keys, _ in leaves_of(self.tree) if found == name)


def flatten(tree: object) -> FlatTree:
    """Take a tree apart. No array in the host's memory is copied.

    Raises:
        TypeError: a node, key or leaf is of a type that can't be saved; the message has its path.
        StructureError: two leaves come to one tensor name, or a name is empty, reserved or not valid UTF-8.
    """
    flat = FlatTree(tree)
    flat.structure = TreeWalk(flat).node(tree, None, ())
    return flat


class TreeWalk:
    """Takes a tree apart: adds its leaves to a `FlatTree`, and returns its structure."""

    def __init__(self, flat: FlatTree) -> None:
        self._flat = flat

    def node(self, node: Any, name: str | None, keys: Keys) -> Node:
        """The structure of a node; `name` is the keys on the way to it, joined, and None at the root."""
        if len(keys) > MAX_DEPTH:
            path = python_path(keys)[:200]
            raise StructureError(f"the tree is more than {MAX_DEPTH} levels deep, or contains itself, at {path}…")
        if node is None:
            return None
        kind = type(node)
        if kind is dict or kind is list or (kind is tuple and not is_state(node)):
            children = [self.node(child, join_name(name, key), (*keys, key)) for key, child in _items(node, keys)]
            return ContainerNode(kind.__name__, list(node) if kind is dict else range(len(children)), children)
        if kind in PLAIN_TYPES:
            return self._plain(node, name or "", keys)
        if (container := _container(node, keys)) is not None:
            return self._container(container, name, keys)
        return self._other(node, name or "", keys)

    def _plain(self, value: object, name: str, keys: Keys) -> str:
        arrays = self._flat.arrays
        if not name or name[0] in RESERVED_STARTS or name in arrays:
            self._check_name(name, keys)
        tag, arrays[name] = _encode(value, keys)
        return tag

    def _container(self, container: Container, name: str | None, keys: Keys) -> Node:
        children = [
            self.node(child, join_name(name, key), (*keys, key)) for key, child in _children_of(container, keys)
        ]
        return ContainerNode(container.kind, list(container.keys), children)

    def _other(self, value: Any, name: str, keys: Keys) -> Node:
        if isinstance(value, MaybeFloat):
            return self.node(value.value, name, keys)
        if (holder := holder_of(value, keys)) is None:
            return self._plain(value, name, keys)
        tag = self._plain(read_held(holder, keys), name, keys)
        if holder.frozen:
            self._flat.unwritten.add(name)
        return tag

    def _check_name(self, name: str, keys: Keys) -> None:
        check_name(name, keys)
        if name in self._flat.arrays:
            raise StructureError(
                f"two leaves come to the tensor name {name!r}: {self._flat.path(name)} and {python_path(keys)}; rename "
                "one",
                tensor=name,
            )


def _tags(node: Node) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif node is not None:
        for child in node.children:
            yield from _tags(child)


def leaves_of(node: Any, name: str | None = None, keys: Keys = ()) -> Iterator[tuple[str, Keys, Any]]:
    """The leaves of a tree that was taken apart: their tensors' names, the keys on the way to each, and themselves."""
    kind = type(node)
    items: Iterable[tuple[Key, object]] | None = None
    if kind is dict or kind is list or kind is tuple:
        items = _items(node, keys)
    elif kind not in PLAIN_TYPES and (container := _container(node, keys)) is not None:
        items = _children_of(container, keys)
    if items is not None:
        for key, child in items:
            yield from leaves_of(child, join_name(name, key), (*keys, key))
    elif node is not None:
        yield name or "", keys, node


def _items(node: Any, keys: Keys) -> Iterator[tuple[Key, object]]:
    """The keys and children of a plain container."""
    if type(node) is not dict:
        yield from enumerate(node)
        return
    for key, child in node.items():
        check_key(key, keys)
        yield key, child


def _children_of(container: Container, keys: Keys) -> Iterator[tuple[Key, object]]:
    for key, child in zip(container.keys, container.children, strict=True):
        check_key(key, keys)
        yield key, child


def _container(node: object, keys: Keys) -> Container | None:
    try:
        container = as_container(node)
    except TypeError as error:
        raise unsaveable(error, keys) from error
    if container is not None and len(set(container.keys)) < len(container.keys):
        raise StructureError(f"{python_path(keys, 'the tree')}, a {type(node).__name__}, has two children of one key")
    return container


def holder_of(value: object, keys: Keys) -> Holder | None:
    """The holder of another framework's array or variable; None where it is something else.

    Raises:
        TypeError: it can't be saved.
    """
    if isinstance(value, np.ndarray | np.generic):
        return None  # what is no plain one of these has more to it than its elements
    try:
        return as_holder(value)
    except TypeError as error:
        raise unsaveable(error, keys) from error


def read_held(holder: Holder, keys: Keys) -> NDArray[Any]:
    """What it holds.

    Raises:
        TypeError, StructureError: it holds nothing that this process can read.
    """
    try:
        return holder.read()
    except TypeError as error:
        raise unsaveable(error, keys) from error
    except ValueError as error:
        raise StructureError(f"{python_path(keys, 'the tree')} can't be saved: {error}") from error


def _encode(value: object, keys: Keys) -> tuple[str, NDArray[Any]]:
    try:
        return encode_leaf(value)
    except TypeError as error:
        raise unsaveable(error, keys) from error
    except ValueError as error:
        raise StructureError(f"{python_path(keys, 'the tree')} can't be saved: {error}") from error


def unsaveable(error: TypeError, keys: Keys) -> TypeError:
    """The error about what is at `keys`, which can't be saved for the reason that another error says."""
    path = python_path(keys, "the tree")
    return TypeError(
        f"{path} can't be saved: {error}. A tree is made of dicts, lists, tuples, named tuples, "
        "dataclasses, JAX's pytrees, None, Python scalars, strings, random generators, and arrays and variables of "
        "TensorFlow's dtypes; convert it to one of these"
    )


def rebuild(structure: Node, leaves: Iterator[object]) -> Any:
    """Put a tree together again, from its structure and the values of its leaves, in order."""
    if structure is None:
        return None
    if isinstance(structure, str):
        return next(leaves)
    children = [rebuild(child, leaves) for child in structure.children]
    if structure.make is not None:
        return structure.make(children)
    if structure.kind == "dict":
        return dict(zip(structure.keys, children, strict=True))
    return tuple(children) if structure.kind == "tuple" else children
