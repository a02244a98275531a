"""Trees of arrays: nested dicts, lists and tuples, taken apart into named tensors and put together again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import StructureError
from cloudckpt.objects.leaves import MAX_DIGITS, encode_leaf
from cloudckpt.objects.structure import MAX_DEPTH, ContainerNode, LeafNode, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["FlatTree", "Leaf", "flatten", "is_reserved", "rebuild"]

OBJECT_GRAPH_TENSOR = "_CHECKPOINTABLE_OBJECT_GRAPH"
RESERVED_PREFIX = "_CLOUDCKPT_"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a tree, as the tensor that holds it."""

    path: str
    """how Python reaches it, such as `['layer1']['w']`"""
    tag: str
    array: NDArray[Any]


@dataclass(frozen=True, slots=True)
class FlatTree:
    """A tree taken apart: its structure, and its leaves by tensor name."""

    structure: Node
    leaves: dict[str, Leaf]


def flatten(tree: object) -> FlatTree:
    """Take a tree apart. No array is copied.

    Raises:
        TypeError: a node, key or leaf is of a type that can't be saved; the message has its path.
        StructureError: two leaves come to one tensor name, or a name is empty, reserved or not valid UTF-8.
    """
    leaves: dict[str, Leaf] = {}
    return FlatTree(_take_apart(tree, (), "", leaves), leaves)


def _take_apart(node: object, keys: tuple[str | int, ...], path: str, leaves: dict[str, Leaf]) -> Node:
    if len(keys) > MAX_DEPTH:
        raise StructureError(f"the tree is more than {MAX_DEPTH} levels deep, or contains itself, at {path[:200]}…")
    kind = type(node)
    if node is None:
        return None
    if kind is dict or kind is list or kind is tuple:
        children = [
            (key, _take_apart(child, (*keys, key), f"{path}[{key!r}]", leaves)) for key, child in _children(node, path)
        ]
        return ContainerNode(kind.__name__, tuple(children))
    name = "/".join(map(str, keys))
    _check_name(name, path, leaves)
    leaf = leaves[name] = _leaf(node, path)
    return LeafNode(leaf.tag, name)


def _children(node: Any, path: str) -> Iterator[tuple[str | int, object]]:
    for key, child in node.items() if type(node) is dict else enumerate(node):
        _check_key(key, path or "the root")
        yield key, child


def _check_key(key: object, path: str) -> None:
    kind = type(key)
    if kind is not str and kind is not int:
        raise TypeError(f"the key {key!r} at {path} is a {kind.__name__}: keys are str or int")
    try:
        str(key).encode()
    except UnicodeEncodeError as error:
        raise StructureError(f"the key {key!r} at {path} is not valid UTF-8: {error.reason}") from error
    except ValueError as error:
        raise StructureError(f"a key at {path} is an int of more than {MAX_DIGITS} decimal digits") from error


def _leaf(value: object, path: str) -> Leaf:
    try:
        return Leaf(path, *encode_leaf(value))
    except TypeError as error:
        raise TypeError(
            f"{path or 'the tree'} can't be saved: {error}. A tree is made of dict, list, tuple, None, Python "
            "scalars, strings, and NumPy arrays of TensorFlow's dtypes; convert it to one of these"
        ) from error
    except ValueError as error:
        raise StructureError(f"{path or 'the tree'} can't be saved: {error}") from error


def _check_name(name: str, path: str, leaves: dict[str, Leaf]) -> None:
    if not name:
        raise StructureError(
            f"the leaf at {path or 'the root'} has no tensor name, since names are the keys on the way to it; put it "
            "into a dict, under a key that is not empty"
        )
    if is_reserved(name):
        raise StructureError(f"the tensor name {name!r} at {path} is reserved; use another key", tensor=name)
    if name.startswith("\0"):
        raise StructureError(
            f"the tensor name {name!r} at {path} begins with a null character, as only the format's own keys do; use "
            "another key",
            tensor=name,
        )
    if name in leaves:
        raise StructureError(
            f"two leaves come to the tensor name {name!r}: {leaves[name].path} and {path}; rename one", tensor=name
        )


def is_reserved(name: str) -> bool:
    """Whether a tensor of that name belongs to a format, not to a user's tree."""
    return name == OBJECT_GRAPH_TENSOR or name.startswith(RESERVED_PREFIX)


def rebuild(structure: Node, leaf: Callable[[LeafNode], object]) -> Any:
    """Put a tree together again, asking `leaf` for the value of every leaf."""
    if structure is None:
        return None
    if isinstance(structure, LeafNode):
        return leaf(structure)
    children = [(key, rebuild(child, leaf)) for key, child in structure.children]
    if structure.kind == "dict":
        return dict(children)
    values = [value for _, value in children]
    return tuple(values) if structure.kind == "tuple" else values
