"""A multipart upload of S3: parts that nobody sees before it is completed, whoever sends them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from cloudckpt.errors import ObjectNotFoundError, PreconditionFailedError, StorageError, UploadCorruptedError
from cloudckpt.storage.deadline import grace
from cloudckpt.storage.http.client import http_date
from cloudckpt.storage.s3.errors import result_of
from cloudckpt.storage.s3.xml import UploadedPart, complete_document, text
from cloudckpt.storage.store import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from cloudckpt.storage.s3.client import S3Client

CHECKSUM = "x-amz-checksum-crc32c"
_TYPE = {"x-amz-checksum-type": "FULL_OBJECT"}
PART_SIZE = 32 << 20
"""Bytes of a part, where the user wants no other size and the object is not enormous."""
SMALLEST_PART, LARGEST_PART = 5 << 20, 5 << 30
"""Bytes that S3 takes as one part, the last one excepted; and, at most, as one PUT."""
LARGEST_OBJECT = 5 << 40
_MOST_PARTS = 10_000
_MIB = 1 << 20

_log = logging.getLogger(__name__)


def part_size_of(size: int, url: str, wanted: int = PART_SIZE) -> int:
    """Bytes of a part: as many as wanted, or the whole MiB of which 10,000 parts, S3's limit, cover the object.

    Args:
        size: bytes of the object.
        url: the object's, for the message.
        wanted: at least `SMALLEST_PART`, at most `LARGEST_PART`.

    Raises:
        StorageError: S3 takes no object of that size.
    """
    if size > LARGEST_OBJECT:
        raise StorageError(
            f"{url}: it would have {size} bytes, and S3 takes no object of more than {LARGEST_OBJECT} (5 TiB): save "
            "the state as several checkpoints",
            path=url,
        )
    return max(wanted, -(-size // (_MOST_PARTS * _MIB)) * _MIB)


class S3Multipart:
    """One upload, begun on the server. As a context manager it aborts what was not completed.

    Args:
        client: of the bucket.
        key: the object's.
        headers: of the object to be: commit id, encryption and the like.
        checked: whether the server shall keep a CRC-32C of the whole object, and compare it with the writer's.
    """

    def __init__(self, client: S3Client, key: str, headers: Mapping[str, str], *, checked: bool = True) -> None:
        self._client, self._key = client, key
        wanted = {"x-amz-checksum-algorithm": "CRC32C", **_TYPE} if checked else {}
        answer = client.request("POST", key, {"uploads": ""}, {**headers, **wanted})
        self._query = {"uploadId": text(result_of("POST", client.url(key), answer), "UploadId")}
        self._parts: dict[int, UploadedPart] = {}
        self._open = True

    def part_query(self, number: int) -> dict[str, str]:
        """The parameters of the request that brings a part, numbered from 1."""
        return {"partNumber": str(number), **self._query}

    def add(self, number: int, part: UploadedPart) -> None:
        """Remember what the server has; a part that comes again replaces itself."""
        self._parts[number] = part

    def require_parts(self, count: int) -> None:
        """Raise where some of the parts are missing."""
        if len(self._parts) != count:
            url = self._client.url(self._key)
            raise StorageError(f"{url}: {len(self._parts)} of its {count} parts were written", path=url)

    def complete(self, size: int, conditions: Mapping[str, str], crc32c: str | None) -> ObjectInfo:
        """Make the object visible.

        Args:
            size: its bytes, for the answer.
            conditions: the headers of the write's condition.
            crc32c: of the whole object, as headers have it, for the server to compare; None if it is not `checked`.
        """
        checksum = {CHECKSUM: crc32c, **_TYPE} if crc32c else {}
        body = [complete_document(self._parts)]
        try:
            answer = self._client.request("POST", self._key, self._query, {**conditions, **checksum}, body=body)
            result = result_of("POST", self._client.url(self._key), answer)
        except (PreconditionFailedError, UploadCorruptedError):
            self.abort()  # a losing upload keeps its parts until it is aborted
            raise
        self._open = False
        return ObjectInfo(self._key, size, text(result, "ETag").strip('"'), http_date(answer.headers.get("Date", "")))

    @grace()
    def abort(self) -> None:
        """Free the parts; after `complete`, or a second time, do nothing."""
        if not self._open:
            return
        self._open = False
        try:
            self._client.request("DELETE", self._key, self._query, expect=(200, 204), repeatable=True)
        except ObjectNotFoundError:
            pass  # completed by a request whose answer was lost, or aborted before
        except StorageError as error:
            _log.warning("an unfinished upload stays behind until it is collected: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()
