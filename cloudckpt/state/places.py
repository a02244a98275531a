"""Many paths as a user writes them, through one open store a bucket."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from cloudckpt.storage.store import Store

__all__ = ["Places", "SaveDirectory", "is_url", "place_of"]


@dataclass(frozen=True, slots=True)
class SaveDirectory:
    """The directory that a checkpoint is saved in, open, and the name that the user has for it."""

    path: str
    """what stands before the last "/" of the path that a saver is given; "" for the working directory"""
    location: Location

    @classmethod
    def of(cls, save_path: str, prefix: Location) -> SaveDirectory:
        """The directory of a checkpoint.

        Args:
            save_path: the checkpoint's path as the user wrote it.
            prefix: the same, open.
        """
        return cls(os.path.dirname(save_path), Location(prefix.store, os.path.dirname(prefix.key)))


class Places:
    """Opens what paths name, and each bucket once only. As a context manager it closes what it has opened.

    Args:
        storage_options: options of the stores, as fsspec takes them.
        directory: one that is open already, and stays open.
    """

    def __init__(self, storage_options: Mapping[str, Any] | None, directory: SaveDirectory | None = None) -> None:
        self._options = storage_options
        self._opened = ExitStack()
        self._stores: dict[str, Store] = {}
        if directory is not None:
            self._remember(directory.path, directory.location)

    def at(self, path: str) -> Location:
        """The location of a path. No request, except where a filesystem logs in at once.

        Raises: what `open_location` raises.
        """
        if is_url(path):
            for root, store in self._stores.items():
                if path.startswith(root):
                    return Location(store, path.removeprefix(root).rstrip("/"))
        location = self._opened.enter_context(open_location(path, self._options))
        self._remember(path, location)
        return location

    def _remember(self, path: str, location: Location) -> None:
        """Let what begins as the path does be opened through the same store."""
        # A key that differs from the end of its URL was normalised: what comes before it then says nothing.
        if is_url(path) and (bare := path.rstrip("/")).endswith(location.key):
            root = bare.removesuffix(location.key)
            self._stores[root if root.endswith("/") else f"{root}/"] = location.store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.close()


def is_url(path: str) -> bool:
    """Whether it is no path of this machine's disks."""
    return "://" in path


def place_of(path: str) -> str:
    """One spelling of a path, for all those of one place."""
    return path if is_url(path) else os.path.abspath(os.path.expanduser(path))
