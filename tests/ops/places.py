"""Where the ops save to and restore from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Place:
    """A folder that no other test uses, in some store."""

    root: str
    storage_options: dict[str, Any] = field(default_factory=dict)

    def __truediv__(self, name: str) -> str:
        return f"{self.root}/{name}"
