"""The structure of a saved tree, as the JSON text that a checkpoint keeps beside the tensors.

Version 1, frozen: `{"version": 1, "tree": NODE}`, where a NODE is one of

- `null`: None;
- `{"dict": [[KEY, NODE], …]}`, in the dict's own order, KEY a string or an integer;
- `{"list": [NODE, …]}` or `{"tuple": [NODE, …]}`;
- a string: a leaf's tag (see `leaves`). Its tensor's name is the keys and indices on the way to it, joined by "/".
"""

from __future__ import annotations

import json
import reprlib
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudckpt.collection import collection_paused
from cloudckpt.errors import CheckpointDamagedError, CheckpointVersionError
from cloudckpt.objects.trees.leaves import is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

__all__ = [
    "MAX_DEPTH",
    "STRUCTURE_TENSOR",
    "ContainerNode",
    "Field",
    "Key",
    "Node",
    "decode_structure",
    "encode_structure",
    "join_name",
]

STRUCTURE_TENSOR = "_CLOUDCKPT_TREE"
VERSION = 1
MAX_DEPTH = 200
"""Deeper trees are refused, on both ways: they contain themselves, or are made to exhaust a reader's stack."""


Key = str | int


class Field(str):
    """A key that Python reaches as an attribute, not as an item."""

    __slots__ = ()


class ContainerNode(NamedTuple):
    """A dict, list or tuple; a list's keys are its indices."""

    kind: str
    keys: Sequence[Key]
    children: Sequence[Node]
    make: Callable[[list[Any]], Any] | None = None
    """makes the object of another class that it stands for; never of a checkpoint's structure, only of a template's"""


Node = ContainerNode | str | None
"""A `str` is a leaf's tag. Leaves are in order: those of a child come before those of the next."""


def join_name(name: str | None, key: Key) -> str:
    """The name of what is under a key: all keys on the way to it, joined. At the root the name is None."""
    return str(key) if name is None else f"{name}/{key}"


def encode_structure(structure: Node) -> bytes:
    """The JSON text of a structure, the same for the same structure."""
    return f'{{"version":{VERSION},"tree":{_to_json(structure)}}}'.encode()


# Text at once, and no object for every pair that it is made of: there may be millions.
_json_of = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _to_json(node: Node) -> str:
    if not isinstance(node, ContainerNode):
        return _json_of(node)
    children: Iterable[str] = map(_to_json, node.children)
    if node.kind == "dict":
        children = (f"[{_json_of(key)},{child}]" for key, child in zip(node.keys, children, strict=True))
    return f'{{"{node.kind}":[{",".join(children)}]}}'


@collection_paused()
def decode_structure(text: bytes, path: str, tensors: Container[str]) -> tuple[Node, dict[str, str]]:
    """The structure that a checkpoint's JSON text says, and the tags of its leaves by tensor name, in order.

    Args:
        text: the JSON text.
        path: the checkpoint's prefix, for messages.
        tensors: the names of the tensors that the checkpoint has.

    Raises:
        CheckpointVersionError: a newer version wrote it.
        CheckpointDamagedError: it is no such text.
    """
    try:
        document = json.loads(text.decode())
        version = document["version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path, f"it is no structure of any version ({error})") from error
    if type(version) is not int or version < 1:
        raise _damaged(path, f"it is of the version {reprlib.repr(version)}")
    if version > VERSION:
        raise CheckpointVersionError(
            f"the tree in {path!r} was saved in version {version!r} of its format, and this program knows versions "
            f"up to {VERSION}: upgrade cloudckpt",
            path=path,
            tensor=STRUCTURE_TENSOR,
        )
    if "tree" not in document:
        raise _damaged(path, "it has no tree")
    reader = _Reader(path, tensors)
    return reader.node(document["tree"], None, 0), reader.tags


class _Reader:
    """Makes nodes of parsed JSON that anyone may have written."""

    def __init__(self, path: str, tensors: Container[str]) -> None:
        self._path = path
        self._tensors = tensors
        self.tags: dict[str, str] = {}
        """those of the leaves so far, by tensor name"""

    def node(self, node: Any, name: str | None, depth: int) -> Node:
        """A node; `name` is the keys on the way to it, joined, None at the root."""
        if depth > MAX_DEPTH:
            raise _damaged(self._path, f"it is more than {MAX_DEPTH} levels deep")
        if node is None:
            return None
        if isinstance(node, str) and is_tag(node):
            return self._add_leaf(name or "", node)
        if isinstance(node, dict) and len(node) == 1:
            ((kind, items),) = node.items()
            if kind == "dict" and isinstance(items, list):
                return self._dict(items, name, depth)
            if kind in {"list", "tuple"} and isinstance(items, list):
                children = [self.node(item, join_name(name, index), depth + 1) for index, item in enumerate(items)]
                return ContainerNode(kind, range(len(items)), children)
        raise _damaged(self._path, f"it has an unknown node {reprlib.repr(node)}")

    def _dict(self, pairs: list[Any], name: str | None, depth: int) -> Node:
        children: dict[Key, Node] = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise _damaged(self._path, f"{reprlib.repr(pair)} is no pair of key and value")
            key, child = pair
            if type(key) is not str and type(key) is not int:
                raise _damaged(self._path, f"it has a key {reprlib.repr(key)}")
            if key in children:
                raise _damaged(self._path, f"it has the key {reprlib.repr(key)} twice")
            children[key] = self.node(child, join_name(name, key), depth + 1)
        return ContainerNode("dict", list(children), list(children.values()))

    def _add_leaf(self, name: str, tag: str) -> str:
        """A leaf's tensor must be there, and no other leaf's: a short text can't claim to fill a large memory."""
        if name not in self._tensors:
            raise _damaged(self._path, f"there is no tensor {reprlib.repr(name)}, which it names")
        if name in self.tags:
            raise _damaged(self._path, f"it names the tensor {reprlib.repr(name)} twice")
        self.tags[name] = tag = intern(tag)  # the parser makes a new string for every leaf
        return tag


def _damaged(path: str, what: str) -> CheckpointDamagedError:
    return CheckpointDamagedError(
        f"the tensor {STRUCTURE_TENSOR!r} of {path!r} does not hold a tree's structure: {what}",
        path=path,
        tensor=STRUCTURE_TENSOR,
    )
