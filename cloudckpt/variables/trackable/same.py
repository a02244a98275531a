"""Whether what is known of a container is still in it."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["same"]

_MISSING = object()


def same(known: Iterable[Any], found: Iterable[Any]) -> bool:
    """Whether both have the same elements, by identity: arrays and variables have an equality of their own."""
    return all(one is other for one, other in zip_longest(known, found, fillvalue=_MISSING))
