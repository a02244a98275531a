"""S3 and whatever speaks its language: MinIO, Ceph, R2 and others, by the options of s3fs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import (
    InvalidArgumentError,
    PermissionDeniedError,
    StorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.http.checksum import encoded
from cloudckpt.storage.http.client import http_date
from cloudckpt.storage.http.range import RANGE_STATUSES, range_header, require_filled, short_read, total_size
from cloudckpt.storage.s3.client import S3Client
from cloudckpt.storage.s3.copy import S3Copy
from cloudckpt.storage.s3.delete import delete_all
from cloudckpt.storage.s3.multipart import CHECKSUM, LARGEST_PART, PART_SIZE, SMALLEST_PART, part_size_of
from cloudckpt.storage.s3.probe import PROBE_PREFIX, honours_conditions
from cloudckpt.storage.s3.unfinished import list_uploads
from cloudckpt.storage.s3.upload import S3MultipartUpload
from cloudckpt.storage.s3.xml import parse_list
from cloudckpt.storage.single_put import SinglePutUpload
from cloudckpt.storage.single_writer import require_absent, warn_of_single_writer
from cloudckpt.storage.store import Always, Capabilities, IfAbsent, IfVersion, ObjectInfo, Store, Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.http.client import Response
    from cloudckpt.storage.store import Upload, WriteCondition

_COMMIT_ID = "x-amz-meta-cloudckpt-commit"


class S3Store(Store):
    """One bucket. Versions are ETags.

    Args:
        bucket: its name.
        filesystem: an s3fs.S3FileSystem with the user's options; it is asked who and where, and moves no bytes.
        part_size: bytes of a large object that are sent at once, or more where it would have too many parts; up to so
            many are one request.

    Raises:
        InvalidArgumentError: S3 takes no parts of that size.
    """

    max_concurrency = 16

    def __init__(self, bucket: str, filesystem: Any, *, part_size: int = PART_SIZE) -> None:
        if not SMALLEST_PART <= part_size <= LARGEST_PART:
            raise InvalidArgumentError(
                f"part_size must be {SMALLEST_PART} (5 MiB) to {LARGEST_PART} bytes (5 GiB) for S3, got {part_size}"
            )
        self._part_size = part_size
        self._client = S3Client(bucket, filesystem)
        self._folder = ""

    @property
    def capabilities(self) -> Capabilities:
        """Asks the server whether it honours conditions, once a process, beside the key that was last looked at."""
        try:
            conditional = honours_conditions(self._client, self._folder)
        except PermissionDeniedError:
            conditional = False  # who may not write needs none
        return Capabilities(
            create_if_absent=conditional,
            replace_if_version=conditional,
            durable_on_return=True,
            server_side_copy=True,
            upload_checksum=True,
            parallel_upload=True,
            server_times=True,
        )

    def url(self, key: str) -> str:
        return self._client.url(key)

    def stat(self, key: str) -> ObjectInfo:
        self._look(key)
        answer = self._client.request("HEAD", key, repeatable=True)
        return _info(key, answer, _size(answer))

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        found = self._list(prefix, recursive=recursive)
        # What ends with a slash stands for a folder: consoles and tools make such.
        return (info for info in found if not (_is_probe(info.key) or info.key.endswith("/")))

    def _list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        """As `list`, with probes that a killed process has left."""
        self._look(prefix)
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        if not recursive:
            query["delimiter"] = "/"
        while True:
            answer = self._client.request("GET", query=query, repeatable=True)
            try:
                page = parse_list(answer.body)
            except ValueError as error:
                url = self.url(prefix)
                raise StorageError(
                    f"{url}: the server's listing can't be read ({error}); is the endpoint an S3 server?", path=url
                ) from error
            yield from page.objects
            if page.next_token is None:
                return
            query["continuation-token"] = page.next_token

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        self._look(key)
        answer = self._client.request("GET", key, repeatable=True, limit=None)
        return answer.body, _info(key, answer, len(answer.body))

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        wanted = total_size(into)
        pinned = {} if version is None else {"If-Match": f'"{version}"'}
        if not wanted:
            size = _size(self._client.request("HEAD", key, headers=pinned, repeatable=True))
            if offset > size:
                raise short_read(offset, 0, str(size), self.url(key))
            return
        answer = self._client.request(
            "GET", key, headers=range_header(offset, wanted) | pinned, into=into, expect=RANGE_STATUSES, repeatable=True
        )
        require_filled(answer, offset, wanted, self.url(key))

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        return self._put(key, self._conditions(key, condition), commit_id, [data], crc32c)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        part_size = part_size_of(size, self.url(key), self._part_size)
        conditions = self._conditions(key, condition)
        if size <= part_size:
            return SinglePutUpload(self.url(key), part_size, partial(self._put, key, conditions, commit_id))
        headers = self._write_headers(commit_id)
        return S3MultipartUpload(
            self._client, key, size, part_size, headers=headers, conditions=conditions, commit_id=commit_id
        )

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        conditions = self._conditions(key, condition)
        if not source.size:  # there is no part of it to copy
            self.read(source.key, 0, [], source.version)
            return self._put(key, conditions, commit_id, [], 0)
        headers = self._write_headers(commit_id)
        info = S3Copy(self._client, source, key, headers, conditions).run()
        return replace(info, commit_id=commit_id)

    def delete(self, keys: Iterable[str]) -> None:
        delete_all(self._client, list(keys))

    def delete_if_version(self, key: str, version: str) -> None:
        # Amazon honours If-Match on DELETE, other servers delete whatever is there.
        raise UnsupportedOperationError(f"{self.url(key)}: S3 can't delete on a condition", path=self.url(key))

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Multipart uploads, and probes that a killed process has left.

        One request a thousand; Amazon's own servers search by prefix, others list the bucket, and are asked for probes.
        """
        yield from list_uploads(self._client, prefix)
        if not self._client.access.is_amazon:
            for found in self._list(_folder_of(prefix) + PROBE_PREFIX):
                if found.key.startswith(prefix):
                    discard = partial(self.delete, [found.key])
                    yield Unfinished(found.key, found.modified, found.size, discard, is_ours=True)

    def time(self) -> float:
        return self._client.clock.latest

    def close(self) -> None:
        self._client.close()

    def _put(
        self,
        key: str,
        conditions: dict[str, str],
        commit_id: str | None,
        buffers: Sequence[Buffer],
        crc32c: int,
    ) -> ObjectInfo:
        headers = self._write_headers(commit_id) | conditions | {CHECKSUM: encoded(crc32c)}
        answer = self._client.request("PUT", key, headers=headers, body=buffers, repeatable=not conditions)
        size = sum(memoryview(buffer).nbytes for buffer in buffers)
        return ObjectInfo(key, size, _etag(answer), http_date(answer.headers.get("Date", "")), commit_id)

    def _write_headers(self, commit_id: str | None) -> dict[str, str]:
        return dict(self._client.access.headers.new_object) | ({_COMMIT_ID: commit_id} if commit_id else {})

    def _conditions(self, key: str, condition: WriteCondition) -> dict[str, str]:
        """The headers that make the server hold the condition; where it would not, a look that the key is new.

        Raises:
            PreconditionFailedError: the server knows no conditions, and the key exists.
            UnsupportedOperationError: the server knows no conditions, and a version was to be replaced.
        """
        if isinstance(condition, Always):
            return {}
        if honours_conditions(self._client, _folder_of(key)):
            return {"If-None-Match": "*"} if isinstance(condition, IfAbsent) else {"If-Match": f'"{condition.version}"'}
        if isinstance(condition, IfVersion):
            raise UnsupportedOperationError(
                f"{self.url(key)}: this server ignores the conditions of writes, so two writers could mix; save under "
                "a new name, or to a server that knows If-Match",
                path=self.url(key),
            )
        warn_of_single_writer(self.url(""))
        require_absent(self, key)
        return {}

    def _look(self, key: str) -> None:
        """Remember a folder that the user cares for: the probe may be forbidden elsewhere."""
        self._folder = _folder_of(key)


def _info(key: str, answer: Response, size: int) -> ObjectInfo:
    headers = answer.headers
    return ObjectInfo(key, size, _etag(answer), http_date(headers.get("Last-Modified", "")), headers.get(_COMMIT_ID))


def _size(answer: Response) -> int:
    return int(answer.headers.get("Content-Length", 0))


def _etag(answer: Response) -> str:
    etag: str = answer.headers.get("ETag", "")
    return etag.strip('"')


def _folder_of(key: str) -> str:
    folder, slash, _ = key.rpartition("/")
    return folder + slash


def _is_probe(key: str) -> bool:
    return key.rpartition("/")[2].startswith(PROBE_PREFIX)
