"""Stores that other distributions bring: found by entry point, by the protocol of their URLs."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from cloudckpt.errors import CloudckptError, StorageError
from cloudckpt.storage.location import Location
from cloudckpt.storage.store import Store
from cloudckpt.storage.urls import cause_of, reason_of, redacted

GROUP = "cloudckpt.stores"
"""The name of an entry point of it is a URL's protocol, its value a callable (url, storage_options) -> Location."""


@cache
def plugins() -> dict[str, tuple[EntryPoint, ...]]:
    """What is installed, by protocol; looked up once a process, as it reads the metadata of every distribution."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        # One distribution may be on the path twice: what leads to the same object is one.
        found.setdefault(entry.name, {}).setdefault(entry.value, entry)
    return {protocol: tuple(by_value.values()) for protocol, by_value in found.items()}


def open_plugin(protocol: str, url: str, options: dict[str, Any]) -> Location:
    """Let the distribution that claims the protocol open a URL; errors that are none of ours name it.

    Raises:
        StorageError: two claim it, or its store can't be loaded or opened, or is none.
    """
    entry, *others = plugins()[protocol]
    shown = redacted(url)
    if others:
        claimants = ", ".join(sorted(_distribution(claimant) for claimant in (entry, *others)))
        raise StorageError(f"{shown}: {protocol}:// is claimed by {claimants}: uninstall all but one", path=shown)
    whose = f"{shown}: the store for {protocol}:// of {_distribution(entry)} ({entry.value})"
    try:
        location: Any = entry.load()(url, options)
    except CloudckptError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again as one of ours
        raise StorageError(
            f"{whose} can't be opened: {reason_of(error)}; mend or uninstall it", path=shown
        ) from cause_of(error)
    if isinstance(location, Location) and isinstance(location.store, Store):
        return location
    given = type(getattr(location, "store", location)).__name__  # its repr may show what was in the options
    raise StorageError(
        f"{whose} is none: it must give a cloudckpt.storage.location.Location with a Store, not {given}", path=shown
    )


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"
