"""How often variable scopes of each name were opened, so that default names can be made unique."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ScopeCounts"]


class _Node:
    """A name's last component: how often it was opened, and what was opened within it."""

    __slots__ = ("children", "opened", "tried")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.opened = 0
        self.tried = 0
        """the numbers up to which "name_1", "name_2" … are known to be in use"""

    def copy(self) -> _Node:
        copied = _Node()
        copied.opened, copied.tried = self.opened, self.tried
        copied.children = {name: child.copy() for name, child in self.children.items()}
        return copied


class ScopeCounts:
    """A tree of names. Whatever is done takes time by the depth of a name, not by how many there are."""

    def __init__(self) -> None:
        self._root = _Node()

    @contextmanager
    def opened(self, name: str, *, again: bool) -> Iterator[None]:
        """A `with` block of a scope, after which what was opened within it is forgotten.

        Args:
            name: the scope's whole name; "" stands for the scope around all, whose scopes are not forgotten.
            again: an older scope was entered by its object: what was known before of what is within it comes back.
        """
        node = self._node(name)
        node.opened += 1
        before = node.copy().children if again else {}
        try:
            yield
        finally:
            if name or again:
                node.children = before

    def unique(self, outer: str, name: str) -> str:
        """The name, with a number if it was opened in the outer scope before."""
        siblings = self._node(outer)
        if not _opened(siblings, name):
            return name
        first = _descendant(siblings, name)
        number = first.tried + 1
        while _opened(siblings, f"{name}_{number}"):
            number += 1
        first.tried = number - 1
        return f"{name}_{number}"

    def _node(self, name: str) -> _Node:
        return _descendant(self._root, name)


def _descendant(node: _Node, name: str) -> _Node:
    for component in name.split("/") if name else ():
        node = node.children.setdefault(component, _Node())
    return node


def _opened(node: _Node, name: str) -> bool:
    return _descendant(node, name).opened > 0
