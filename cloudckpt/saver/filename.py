"""What a builder's methods get as `filename_tensor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from cloudckpt.checkpoint.opened import OpenCheckpoint

__all__ = ["OpenFilename"]


class OpenFilename(str):
    """A checkpoint's path as the user wrote it, with the checkpoint itself, which is open while a restore runs.

    What is made of it by string operations is a plain `str`, and has no checkpoint.
    """

    __slots__ = ("checkpoint",)

    checkpoint: OpenCheckpoint

    def __new__(cls, path: str, checkpoint: OpenCheckpoint) -> Self:
        """The path of an open checkpoint."""
        filename = super().__new__(cls, path)
        filename.checkpoint = checkpoint
        return filename
