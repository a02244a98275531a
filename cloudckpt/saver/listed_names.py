"""Names in an error, of which there may be millions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["listed"]

MOST = 20
"""How many names an error shows."""


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(repr, names[:MOST]))
    return f"{shown} and {len(names) - MOST} others" if len(names) > MOST else shown
