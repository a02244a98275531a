"""A place in a store: what the layers above are handed instead of a path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from cloudckpt.storage.store import Store

__all__ = ["Location"]


@dataclass(frozen=True, slots=True)
class Location:
    """A key in an open store. As a context manager it closes the store."""

    store: Store = field(repr=False)
    key: str

    @property
    def url(self) -> str:
        """The URL or path a person would use, without credentials."""
        return self.store.url(self.key)

    def child(self, name: str) -> Location:
        """The location of `name` inside this one, taken as a folder; the same store."""
        separator = "" if not self.key or self.key.endswith("/") else "/"
        return Location(self.store, f"{self.key}{separator}{name}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.store.close()
