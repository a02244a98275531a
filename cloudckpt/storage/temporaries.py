"""The hidden names under which files are written before they are what their own names promise."""

from __future__ import annotations

import os
import re

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{16}\.tmp", re.DOTALL)
_NAME_BYTES = 200
"""Of the file's own name: file systems take 255 bytes, and 22 are added."""


def temporary_name(name: str) -> str:
    """A new hidden name for what will be the file `name` of the same folder."""
    kept = name.encode(errors="replace")[:_NAME_BYTES].decode(errors="ignore")
    return f".{kept}.{os.urandom(8).hex()}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file of that name was never completed."""
    return _TEMPORARY.fullmatch(name) is not None
