"""Warnings that point at the line of the program that called this package, however deep in it they arise."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_caller"]

PACKAGE = __name__.partition(".")[0]


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn, as from the innermost line that is no part of this package."""
    frame, level = sys._getframe(1), 2  # noqa: SLF001 - `skip_file_prefixes` is of Python 3.12
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
