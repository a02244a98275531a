"""Ranged reads, which S3 and GCS answer alike: one GET, its body straight into the caller's buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.errors import ShortReadError, StorageError, TransientStorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.storage.http.client import Response

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
        TransientStorageError: the answer ends before it said that it would.
        StorageError: the server sent something else.
    """
    start, end, size = _content_range(response)
    if response.status == 206 and start == offset:
        if response.filled == wanted:
            return
        if response.filled < end + 1 - start:
            raise TransientStorageError(
                f"{subject}: the connection ended after {response.filled} bytes of {end + 1 - start}", path=subject
            )
    if response.status == 416 or (response.status == 206 and start == offset):
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


def _content_range(response: Response) -> tuple[int, int, str]:
    """First and last byte and the size of the object, from a header such as `bytes 5-9/100`; -1 where it has none."""
    covered, _, size = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    start, _, end = covered.partition("-")
    return (int(start), int(end), size) if start.isdecimal() and end.isdecimal() else (-1, -1, size)
