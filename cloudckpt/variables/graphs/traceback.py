"""Where in the user's program something was made."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Frame", "user_frames"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Frame(NamedTuple):
    """One line of a traceback."""

    filename: str
    lineno: int
    function: str


def user_frames() -> tuple[Frame, ...]:
    """The frames that led here, outermost first, without those of this package."""
    frames: list[Frame] = []
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # half of the cost of a graph would be inspect.stack()
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            frames.append(Frame(code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    frames.reverse()
    return tuple(frames)
