"""Buffers of any shape as flat bytes, without copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typing_extensions import Buffer


def flat_view(buffer: Buffer) -> memoryview:
    """The bytes of a C-contiguous buffer as a one-dimensional view of format "B"."""
    view = memoryview(buffer)
    # memoryview can't cast views with a zero in their shape.
    return view.cast("B") if view.nbytes else memoryview(b"")


def flat_views(buffers: Iterable[Buffer]) -> list[memoryview]:
    """The views of those buffers that hold anything."""
    return [view for buffer in buffers if (view := flat_view(buffer)).nbytes]


def fill(into: Sequence[memoryview], data: Buffer) -> None:
    """Copy bytes into flat buffers, one after the other; there are as many as these hold."""
    rest = memoryview(data)
    for view in into:
        view[:], rest = rest[: view.nbytes], rest[view.nbytes :]
