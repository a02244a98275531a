"""Stores that fail under a saver."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location
from cloudckpt.testing.faults import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

__all__ = ["Faults", "through"]


class Faults:
    """Fails the operations of one save or restore, whichever is begun within `failing`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.operations: list[str] = []
        """those of the save or restore that was to fail"""
        self._failure: dict[str, Any] = {"fail_at": 0}
        through(monkeypatch, self._store)

    def _store(self, inner: Any, _: int) -> FaultyStore:
        store = FaultyStore(inner, **self._failure)
        self.operations = store.operations if self._failure["fail_at"] else self.operations
        return store

    @contextmanager
    def failing(self, failure: dict[str, Any]) -> Iterator[None]:
        """Let the save or restore of the block fail in that way; its operations are told from then on."""
        self._failure = failure
        try:
            yield
        finally:
            self._failure = {"fail_at": 0}

    def each(self, **kind: Any) -> Iterator[dict[str, Any]]:
        """How the first operation fails, then how the second, and so on until there is none of that number."""
        for number in count(1):
            yield {"fail_at": number, **kind}
            if len(self.operations) < number:
                return


def through(monkeypatch: pytest.MonkeyPatch, store: Callable[..., FaultyStore]) -> None:
    """Let savers save to and restore from stores that are made so."""

    def opened(path: Any, options: Any) -> Location:
        location = open_location(path, options)
        return Location(store(location.store, 0), location.key)

    for module in ("saver", "restore"):
        monkeypatch.setattr(f"cloudckpt.saver.{module}.open_prefix", opened)
