"""Classes of frameworks that the program has imported, without importing them."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["imported", "is_instance"]


def imported(module: str) -> Any:
    """The module where the program has imported it; None where it has not."""
    return sys.modules.get(module)


def is_instance(thing: object, module: str, name: str) -> bool:
    """Whether a thing is of a class of that module; not where the module is not imported, or has no such class."""
    found = getattr(imported(module), name, None)
    return isinstance(found, type) and isinstance(thing, found)
