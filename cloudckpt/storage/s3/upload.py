"""A large object on its way to S3: its parts sent from this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloudckpt.errors import UploadCorruptedError
from cloudckpt.storage.http.checksum import encoded
from cloudckpt.storage.s3.multipart import CHECKSUM, S3Multipart
from cloudckpt.storage.s3.xml import UploadedPart
from cloudckpt.storage.store import ObjectInfo, Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.s3.client import S3Client


class S3MultipartUpload(Upload):
    """Parts go out as they come, in any order and from any thread; the server checks each one's CRC-32C.

    Args:
        client: of the bucket.
        key: the object's.
        size: bytes of the whole object.
        part_size: bytes of each part but the last.
        headers: of the object to be, the commit id's among them.
        conditions: the headers of the write's condition.
        commit_id: for what `complete` returns.
    """

    def __init__(
        self,
        client: S3Client,
        key: str,
        size: int,
        part_size: int,
        *,
        headers: Mapping[str, str],
        conditions: Mapping[str, str],
        commit_id: str | None,
    ) -> None:
        self.part_size = part_size
        self._client = client
        self._key = key
        self._size = size
        self._conditions = conditions
        self._commit_id = commit_id
        self._multipart = S3Multipart(client, key, headers)

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        number = offset // self.part_size + 1
        checksum = encoded(crc32c)
        query = self._multipart.part_query(number)
        answer = self._client.request("PUT", self._key, query, {CHECKSUM: checksum}, body=buffers, repeatable=True)
        if answer.headers.get(CHECKSUM, checksum) != checksum:
            url = self._client.url(self._key)
            raise UploadCorruptedError(
                f"{url}: part {number} has the checksum {answer.headers[CHECKSUM]} on the server, and {checksum} here; "
                "nothing was committed; save again",
                path=url,
            )
        self._multipart.add(number, UploadedPart(answer.headers.get("ETag", ""), checksum))

    def complete(self, crc32c: int) -> ObjectInfo:
        self._multipart.require_parts(-(-self._size // self.part_size))
        info = self._multipart.complete(self._size, self._conditions, encoded(crc32c))
        return replace(info, commit_id=self._commit_id)

    def abort(self) -> None:
        self._multipart.abort()
