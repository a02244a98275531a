"""A large object on its way to S3: a multipart upload, invisible until it is completed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cloudckpt.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
    UploadCorruptedError,
)
from cloudckpt.storage.http import http_date
from cloudckpt.storage.http_checksum import encoded
from cloudckpt.storage.s3_errors import Failure, s3_error
from cloudckpt.storage.s3_xml import UploadedPart, complete_document, is_error, parse, parse_error, text
from cloudckpt.storage.store import ObjectInfo, Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.s3_client import S3Client

CHECKSUM = "x-amz-checksum-crc32c"
_SMALLEST_PART = 16 << 20
_MOST_PARTS = 10_000
_MIB = 1 << 20

_log = logging.getLogger(__name__)


def part_size_of(size: int) -> int:
    """Bytes of a part: 16 MiB, or the whole MiB of which S3's limit of 10,000 parts covers the object."""
    return max(_SMALLEST_PART, -(-size // (_MOST_PARTS * _MIB)) * _MIB)


class S3MultipartUpload(Upload):
    """Parts go out as they come, in any order and from any thread; the server checks each one's CRC-32C.

    Args:
        client: of the bucket.
        key: the object's.
        upload_id: of the upload, which was created for full-object CRC-32C.
        size: bytes of the whole object.
        conditions: the headers of the write's condition.
        commit_id: what the upload was created with.
    """

    def __init__(
        self,
        client: S3Client,
        key: str,
        upload_id: str,
        *,
        size: int,
        conditions: Mapping[str, str],
        commit_id: str | None,
    ) -> None:
        self.part_size = part_size_of(size)
        self._client = client
        self._key = key
        self._query = {"uploadId": upload_id}
        self._size = size
        self._conditions = conditions
        self._commit_id = commit_id
        self._parts: dict[int, UploadedPart] = {}
        self._open = True

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        number = offset // self.part_size + 1
        checksum = encoded(crc32c)
        answer = self._client.request(
            "PUT",
            self._key,
            {"partNumber": str(number), **self._query},
            {CHECKSUM: checksum},
            body=buffers,
            repeatable=True,
        )
        if answer.headers.get(CHECKSUM, checksum) != checksum:
            url = self._client.url(self._key)
            raise UploadCorruptedError(
                f"{url}: part {number} has the checksum {answer.headers[CHECKSUM]} on the server, and {checksum} here; "
                "nothing was committed; save again",
                path=url,
            )
        self._parts[number] = UploadedPart(answer.headers.get("ETag", ""), checksum)

    def complete(self, crc32c: int) -> ObjectInfo:
        self._require_all_parts()
        try:
            info = self._complete(crc32c)
        except (PreconditionFailedError, UploadCorruptedError):
            self.abort()  # a losing upload keeps its parts until it is aborted
            raise
        self._open = False
        return info

    def abort(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            self._client.request("DELETE", self._key, self._query, expect=(200, 204), repeatable=True)
        except ObjectNotFoundError:
            pass  # completed by a request whose answer was lost, or aborted before
        except StorageError as error:
            _log.warning("an unfinished upload stays behind until it is collected: %s", error)

    def _complete(self, crc32c: int) -> ObjectInfo:
        answer = self._client.request(
            "POST",
            self._key,
            self._query,
            {**self._conditions, CHECKSUM: encoded(crc32c), "x-amz-checksum-type": "FULL_OBJECT"},
            body=[complete_document(self._parts)],
        )
        url = self._client.url(self._key)
        try:
            result = parse(answer.body)
        except ValueError as error:
            raise TransientStorageError(
                f"{url}: the answer to its completion can't be read: {error}", path=url
            ) from error
        if is_error(result):
            # S3 sends its 200 first and finds out afterwards.
            raise s3_error("POST", url, Failure(0, *parse_error(answer.body)))
        return ObjectInfo(
            key=self._key,
            size=self._size,
            version=text(result, "ETag").strip('"'),
            modified=http_date(answer.headers.get("Date", "")),
            commit_id=self._commit_id,
        )

    def _require_all_parts(self) -> None:
        wanted = -(-self._size // self.part_size)
        if len(self._parts) != wanted:
            url = self._client.url(self._key)
            raise StorageError(f"{url}: {len(self._parts)} of its {wanted} parts were written", path=url)
