"""Copies inside S3: the server moves the bytes.

Only a multipart upload makes a copy conditional everywhere: CopyObject has no conditions on many servers, and they
ignore the headers.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cloudckpt.storage.http.client import http_date
from cloudckpt.storage.s3.errors import Failure, result_of, s3_error
from cloudckpt.storage.s3.multipart import CHECKSUM, S3Multipart, part_size_of
from cloudckpt.storage.s3.xml import UploadedPart, text
from cloudckpt.storage.side_by_side import run_side_by_side
from cloudckpt.storage.store import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree import ElementTree as ET

    from cloudckpt.storage.http.client import Response
    from cloudckpt.storage.s3.client import S3Client

PART = 512 << 20
"""Bytes that one request copies: some seconds for the server, and far below the 5 GiB that it would take."""
_AT_ONCE = 8

_REFUSALS = frozenset({"InvalidArgument", "InvalidRequest"})
"""What a server may call it that a part comes without the checksum that its upload keeps: MinIO's word, and Amazon's
where a client leaves it out."""

_AS_GIVEN = {"x-amz-metadata-directive": "REPLACE", "x-amz-tagging-directive": "REPLACE"}
"""Metadata and tags are those of the request, as for a new object, and not those of the source."""

_without_checksums: set[str] = set()
"""The URLs of buckets whose server computes no CRC-32C of a part that it copies itself; for the life of the process."""


class _ChecksumRefusedError(Exception):
    """The server copies no part into an upload that keeps a checksum."""


@dataclass(frozen=True, slots=True)
class S3Copy:
    """One copy of an object of at least one byte: `Store.copy`.

    Attributes:
        client: of the bucket.
        source: the object, and which version of it.
        key: the copy.
        headers: of the object to be, the commit id's among them.
        conditions: the headers of the write's condition.
    """

    client: S3Client
    source: ObjectInfo
    key: str
    headers: Mapping[str, str]
    conditions: Mapping[str, str]

    def run(self) -> ObjectInfo:
        """Make it: one request where there is no condition and one part, else a few more than there are parts."""
        if not self.conditions and self.source.size <= PART:
            return self._whole()
        base = self.client.access.base
        checksum = None if base in _without_checksums else self._checksum()
        if checksum is not None:
            with suppress(_ChecksumRefusedError):
                return self._in_parts(checksum)
        copied = self._in_parts(None)
        if checksum is not None:
            _without_checksums.add(base)  # only now: had it been for another reason, this would have failed too
        return copied

    def _whole(self) -> ObjectInfo:
        """One CopyObject, which copies the checksum that the server keeps, too."""
        answer = self._ask({}, {**self.headers, **_AS_GIVEN})
        version = text(self._judged(answer), "ETag").strip('"')
        return ObjectInfo(self.key, self.source.size, version, http_date(answer.headers.get("Date", "")))

    def _checksum(self) -> str | None:
        """The CRC-32C that the server keeps of the whole source; None where it has none, or one of its parts' only."""
        wanted = {"x-amz-checksum-mode": "ENABLED", "If-Match": f'"{self.source.version}"'}
        headers = self.client.request("HEAD", self.source.key, headers=wanted, repeatable=True).headers
        checksum: str = headers.get(CHECKSUM, "")
        of_parts = headers.get("x-amz-checksum-type") == "COMPOSITE" or "-" in checksum
        return None if of_parts else checksum or None

    def _in_parts(self, checksum: str | None) -> ObjectInfo:
        """A multipart upload; with a checksum, the server computes it again from the parts that it copied."""
        size = part_size_of(self.source.size, self.client.url(self.key), PART)
        starts = range(0, self.source.size, size)
        with S3Multipart(self.client, self.key, self.headers, checked=checksum is not None) as multipart:

            def copy(start: int) -> None:
                number = start // size + 1
                # S3 takes no range of an object below 5 MiB.
                wanted = _range(start, min(start + size, self.source.size)) if len(starts) > 1 else {}
                answer = self._ask(multipart.part_query(number), wanted)
                if checksum is not None and Failure.of(answer).code in _REFUSALS:
                    raise _ChecksumRefusedError
                result = self._judged(answer)
                multipart.add(number, UploadedPart(text(result, "ETag"), text(result, "ChecksumCRC32C")))

            run_side_by_side((partial(copy, start) for start in starts), threads=min(len(starts), _AT_ONCE))
            return multipart.complete(self.source.size, self.conditions, checksum)

    def _ask(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Response:
        """Send a CopyObject or UploadPartCopy; a second arrival does no harm, as it has no condition on the target."""
        pinned = {
            **self.client.copy_source(self.source.key),
            "x-amz-copy-source-if-match": f'"{self.source.version}"',
        }
        return self.client.request(
            "PUT", self.key, query, {**headers, **pinned}, expect=(200, 400, 404, 412), repeatable=True
        )

    def _judged(self, answer: Response) -> ET.Element:
        """The result in the answer; or the error, about the source where it is that."""
        failure = Failure.of(answer)
        if answer.status == 412 or failure.code in ("PreconditionFailed", "NoSuchKey"):
            raise s3_error("GET", self.client.url(self.source.key), failure)
        if answer.status != 200:
            raise s3_error("PUT", self.client.url(self.key), failure)
        return result_of("PUT", self.client.url(self.key), answer)


def _range(start: int, end: int) -> dict[str, str]:
    return {"x-amz-copy-source-range": f"bytes={start}-{end - 1}"}
