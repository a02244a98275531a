"""Ranged reads, which S3 and GCS answer alike: one GET, its body straight into the caller's buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.errors import ShortReadError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.storage.http import Response

RANGE_STATUSES = (200, 206, 416)
"""What `require_filled` judges; any other status is about the object, not the range."""


def range_header(offset: int, wanted: int) -> dict[str, str]:
    """The header that asks for `wanted` bytes, at least one, from `offset` on."""
    return {"Range": f"bytes={offset}-{offset + wanted - 1}"}


def total_size(buffers: Sequence[memoryview]) -> int:
    """Bytes of all buffers together."""
    return sum(view.nbytes for view in buffers)


def require_filled(response: Response, offset: int, wanted: int, subject: str) -> None:
    """Make sure that the answer to a ranged GET was that range, to its last byte.

    Raises:
        ShortReadError: the object ends before.
        StorageError: the server sent something else.
    """
    if response.status == 206 and response.filled == wanted and _start(response) == offset:
        return
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    if response.status == 416 or (response.status == 206 and _start(response) == offset):
        raise short_read(offset, wanted, size, subject)
    raise StorageError(
        f"{subject}: the server did not answer with the range that was asked for (HTTP {response.status} instead of "
        "206); a proxy on the way may have changed the request",
        path=subject,
    )


def short_read(offset: int, wanted: int, size: str, subject: str) -> ShortReadError:
    """The error for a range that goes beyond the end of the object."""
    return ShortReadError(
        f"{subject}: bytes {offset} to {offset + wanted} were asked for, but the object has {size or 'fewer'}; "
        "it was cut, or is not the file that its index speaks of",
        path=subject,
    )


def _start(response: Response) -> int:
    """The first byte of the range that came, from a header such as `bytes 5-9/100`; -1 without one."""
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdecimal() else -1
