"""What a graph's parts share: that it can be finalized, and its collections."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Finalizable", "GraphCollections"]


class Finalizable:
    """What can be made read-only for good."""

    def __init__(self) -> None:
        self._finalized = False
        self._version = 0

    @property
    def finalized(self) -> bool:
        """Whether `finalize` was called."""
        return self._finalized

    def finalize(self) -> None:
        """Make the graph read-only: whatever would add to it raises RuntimeError from here on."""
        self._finalized = True

    @property
    def version(self) -> int:
        """Grows with each operation, with each value that is added to a collection, and each collection cleared.

        What is done to a list from `get_collection_ref` after it was handed out is not counted.
        """
        return self._version

    def _changing(self) -> None:
        if self._finalized:
            raise RuntimeError("the graph is finalized, and cannot be modified")
        self._version += 1


class GraphCollections(Finalizable):
    """Lists of values by name, which keep what belongs to a graph: its variables, its savers, a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self._collections: dict[str, list[Any]] = {}

    def add_to_collection(self, name: str, value: Any) -> None:
        """Append a value to a collection; it may be there several times.

        Raises:
            RuntimeError: the graph is finalized.
        """
        self._changing()
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: str | Iterable[str], value: Any) -> None:
        """Append a value to several collections, to each once; a string is the name of one.

        Raises:
            RuntimeError: the graph is finalized.
        """
        for name in (names,) if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection(self, name: str, scope: str | None = None) -> list[Any]:
        """A new list of the values of a collection; empty if there is no such one.

        Args:
            name: the collection.
            scope: if given, only values whose `name` begins with a match of this regular expression.
        """
        values = self._collections.get(name, [])
        if scope is None:
            return list(values)
        match = re.compile(scope).match
        return [value for value in values if hasattr(value, "name") and match(value.name)]

    def get_collection_ref(self, name: str) -> list[Any]:
        """The list of a collection itself, which the caller may change; made if there is no such one.

        Raises:
            RuntimeError: there is no such one, and the graph is finalized.
        """
        if name not in self._collections or not self._finalized:
            self._changing()
        return self._collections.setdefault(name, [])

    def get_all_collection_keys(self) -> list[str]:
        """The names of the collections that hold something or were asked for by `get_collection_ref`."""
        return list(self._collections)

    def clear_collection(self, name: str) -> None:
        """Forget a collection.

        Raises:
            RuntimeError: the graph is finalized.
        """
        self._changing()
        self._collections.pop(name, None)

    @property
    def collections(self) -> list[str]:
        """The names of all collections."""
        return list(self._collections)
