"""Trees of arrays: nested dicts, lists and tuples, taken apart into named tensors and put together again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import StructureError
from cloudckpt.objects.trees.leaves import MAX_DIGITS, encode_leaf
from cloudckpt.objects.trees.structure import MAX_DEPTH, ContainerNode, Node, join_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cloudckpt.objects.trees.structure import Key

__all__ = ["FlatTree", "flatten", "is_reserved", "rebuild"]

OBJECT_GRAPH_TENSOR = "_CHECKPOINTABLE_OBJECT_GRAPH"
RESERVED_PREFIX = "_CLOUDCKPT_"


@dataclass(frozen=True, slots=True)
class FlatTree:
    """A tree taken apart; no object is made for a leaf, as so many would set off the garbage collector."""

    tree: object
    structure: Node
    arrays: dict[str, NDArray[Any]]
    """the tensors that hold the leaves, by name, in the order of the tree"""

    def tags(self) -> dict[str, str]:
        """The leaves' tags, by tensor name, in the order of the tree."""
        return dict(zip(self.arrays, _tags(self.structure), strict=True))

    def path(self, name: str) -> str:
        """How Python reaches the first leaf that has this tensor name, such as `['layer1']['w']`. Searches for it."""
        return next(_path(keys) for found, keys in _named(self.tree, None, ()) if found == name)


def flatten(tree: object) -> FlatTree:
    """Take a tree apart. No array is copied.

    Raises:
        TypeError: a node, key or leaf is of a type that can't be saved; the message has its path.
        StructureError: two leaves come to one tensor name, or a name is empty, reserved or not valid UTF-8.
    """
    flat = FlatTree(tree, None, {})
    return replace(flat, structure=_take_apart(tree, None, (), flat))


def _take_apart(node: Any, name: str | None, keys: tuple[Key, ...], flat: FlatTree) -> Node:
    """The structure of a node; its leaves are added to `flat`. `name` is the keys, joined."""
    if len(keys) > MAX_DEPTH:
        raise StructureError(
            f"the tree is more than {MAX_DEPTH} levels deep, or contains itself, at {_path(keys)[:200]}…"
        )
    if node is None:
        return None
    kind = type(node)
    if kind is dict or kind is list or kind is tuple:
        children = [
            _take_apart(child, join_name(name, key), (*keys, key), flat) for key, child in _children(node, keys)
        ]
        return ContainerNode(kind.__name__, list(node) if kind is dict else range(len(children)), children)
    name = name or ""
    _check_name(name, keys, flat)
    tag, flat.arrays[name] = _encode(node, keys)
    return tag


def _tags(node: Node) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif node is not None:
        for child in node.children:
            yield from _tags(child)


def _named(node: Any, name: str | None, keys: tuple[Key, ...]) -> Iterator[tuple[str, tuple[Key, ...]]]:
    """The tensor names of a tree's leaves, and the keys on the way to each."""
    if type(node) in {dict, list, tuple}:
        for key, child in _children(node, keys):
            yield from _named(child, join_name(name, key), (*keys, key))
    elif node is not None:
        yield name or "", keys


def _path(keys: tuple[Key, ...]) -> str:
    return "".join([f"[{key!r}]" for key in keys])


def _children(node: Any, keys: tuple[Key, ...]) -> Iterator[tuple[Key, object]]:
    if type(node) is not dict:
        yield from enumerate(node)
        return
    for key, child in node.items():
        _check_key(key, keys)
        yield key, child


def _check_key(key: object, keys: tuple[Key, ...]) -> None:
    kind = type(key)
    if kind is not str and kind is not int:
        raise TypeError(f"the key {key!r} at {_path(keys) or 'the root'} is a {kind.__name__}: keys are str or int")
    try:
        str(key).encode()
    except UnicodeEncodeError as error:
        raise StructureError(
            f"the key {key!r} at {_path(keys) or 'the root'} is not valid UTF-8: {error.reason}"
        ) from error
    except ValueError as error:
        raise StructureError(
            f"a key at {_path(keys) or 'the root'} is an int of more than {MAX_DIGITS} decimal digits"
        ) from error


def _encode(value: object, keys: tuple[Key, ...]) -> tuple[str, NDArray[Any]]:
    try:
        return encode_leaf(value)
    except TypeError as error:
        raise TypeError(
            f"{_path(keys) or 'the tree'} can't be saved: {error}. A tree is made of dict, list, tuple, None, Python "
            "scalars, strings, and NumPy arrays of TensorFlow's dtypes; convert it to one of these"
        ) from error
    except ValueError as error:
        raise StructureError(f"{_path(keys) or 'the tree'} can't be saved: {error}") from error


def _check_name(name: str, keys: tuple[Key, ...], flat: FlatTree) -> None:
    if not name:
        raise StructureError(
            f"the leaf at {_path(keys) or 'the root'} has no tensor name, since names are the keys on the way to it; "
            "put it into a dict, under a key that is not empty"
        )
    if is_reserved(name):
        raise StructureError(f"the tensor name {name!r} at {_path(keys)} is reserved; use another key", tensor=name)
    if name.startswith("\0"):
        raise StructureError(
            f"the tensor name {name!r} at {_path(keys)} begins with a null character, as only the format's own keys "
            "do; use another key",
            tensor=name,
        )
    if name in flat.arrays:
        raise StructureError(
            f"two leaves come to the tensor name {name!r}: {flat.path(name)} and {_path(keys)}; rename one",
            tensor=name,
        )


def is_reserved(name: str) -> bool:
    """Whether a tensor of that name belongs to a format, not to a user's tree."""
    return name == OBJECT_GRAPH_TENSOR or name.startswith(RESERVED_PREFIX)


def rebuild(structure: Node, leaves: Iterator[object]) -> Any:
    """Put a tree together again, from its structure and the values of its leaves, in order."""
    if structure is None:
        return None
    if isinstance(structure, str):
        return next(leaves)
    children = [rebuild(child, leaves) for child in structure.children]
    if structure.kind == "dict":
        return dict(zip(structure.keys, children, strict=True))
    return tuple(children) if structure.kind == "tuple" else children
