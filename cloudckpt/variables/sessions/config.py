"""How a session is to run, as programs say it: taken, kept, and of no effect."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

__all__ = ["ConfigProto", "GPUOptions"]


class GPUOptions(SimpleNamespace):
    """What a program says of GPUs, as attributes. A session of this package has none, and ignores it."""


class ConfigProto(SimpleNamespace):
    """What a program says of its session, as attributes. A session of this package has nothing to configure.

    Args:
        settings: whatever fields TensorFlow's message of that name has.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"gpu_options": GPUOptions(), **settings})
