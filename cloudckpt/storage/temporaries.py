"""The hidden names under which files are written before they are what their own names promise.

They show whose they are, so that a collector may take away what a killed process has left, whatever it was to be.
"""

from __future__ import annotations

import os
import re

_TEMPORARY = re.compile(r"\.(.*)\.[0-9a-f]{16}\.cloudckpt", re.DOTALL)
_NAME_BYTES = 200
"""Of the file's own name: file systems take 255 bytes, and 28 are added."""
_END_BYTES = 24
"""Of a name that is longer: its end tells which kind of file it was to be."""


def temporary_name(name: str) -> str:
    """A new hidden name for what will be the file `name` of the same folder."""
    encoded = name.encode(errors="replace")
    if len(encoded) > _NAME_BYTES:
        encoded = encoded[: _NAME_BYTES - _END_BYTES] + encoded[-_END_BYTES:]
    return f".{encoded.decode(errors='ignore')}.{os.urandom(8).hex()}.cloudckpt"


def is_temporary(name: str) -> bool:
    """Whether a file of that name was never completed."""
    return _TEMPORARY.fullmatch(name) is not None


def completed_name(name: str) -> str | None:
    """The name that a file of that hidden name was to get, the middle left out of one that is long; None for others."""
    match = _TEMPORARY.fullmatch(name)
    return match and match[1]
