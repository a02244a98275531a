"""Google Cloud Storage by its JSON API, with the options of gcsfs."""

from __future__ import annotations

import json
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import InvalidArgumentError, ObjectChangedError, ObjectNotFoundError, StorageError
from cloudckpt.storage.failures import Failures
from cloudckpt.storage.gcs.client import COMMIT_ID, GCSClient, parse_json, parse_resource
from cloudckpt.storage.gcs.errors import gcs_error
from cloudckpt.storage.gcs.upload import GRANULE, PART_SIZE, GCSResumableUpload
from cloudckpt.storage.http.checksum import encoded
from cloudckpt.storage.http.client import http_date
from cloudckpt.storage.http.range import RANGE_STATUSES, range_header, require_filled, short_read, total_size
from cloudckpt.storage.side_by_side import run_side_by_side
from cloudckpt.storage.single_put import SinglePutUpload
from cloudckpt.storage.store import Always, Capabilities, IfAbsent, ObjectInfo, Store, Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.store import Upload, WriteCondition

_FIELDS = "name,size,generation,updated,metadata"
_DELETES_AT_ONCE = 16
_NEVER = "1"
"""A generation that no object has: they are microseconds since 1970."""


class GCSStore(Store):
    """One bucket. Versions are generations.

    Args:
        bucket: its name.
        filesystem: a gcsfs.GCSFileSystem with the user's options; it is asked who and where, and moves no bytes.
        part_size: bytes of a large object that are sent at once; up to so many are one request.

    Raises:
        InvalidArgumentError: the server takes no parts of that size.
    """

    max_concurrency = 16

    def __init__(self, bucket: str, filesystem: Any, *, part_size: int = PART_SIZE) -> None:
        if part_size <= 0 or part_size % GRANULE:
            raise InvalidArgumentError(
                f"part_size must be a multiple of {GRANULE} bytes (256 KiB) for Google Cloud Storage, got {part_size}"
            )
        self._part_size = part_size
        self._client = GCSClient(bucket, filesystem)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            create_if_absent=True,
            replace_if_version=True,
            delete_if_version=True,
            durable_on_return=True,
            server_side_copy=True,
            upload_checksum=True,
            server_times=True,
        )

    def url(self, key: str) -> str:
        return self._client.url(key)

    def stat(self, key: str) -> ObjectInfo:
        answer = self._client.request("GET", key, {"fields": _FIELDS}, repeatable=True)
        return parse_resource(parse_json(answer, self.url(key)))

    def list(self, prefix: str, *, recursive: bool = False) -> Iterator[ObjectInfo]:
        query = {"prefix": prefix, "fields": f"items({_FIELDS}),nextPageToken"}
        if not recursive:
            query["delimiter"] = "/"
        while True:
            answer = self._client.request("GET", None, query, repeatable=True)
            page = parse_json(answer, self.url(prefix))
            # What ends with a slash stands for a folder: consoles and tools make such, and what they hold is no file.
            yield from (parse_resource(item) for item in page.get("items", ()) if not item["name"].endswith("/"))
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        answer = self._client.request("GET", key, {"alt": "media"}, repeatable=True, limit=None)
        headers = answer.headers
        return answer.body, ObjectInfo(
            key=key,
            size=len(answer.body),
            version=headers.get("X-Goog-Generation", ""),
            modified=http_date(headers.get("Last-Modified", "")),
            commit_id=headers.get(f"X-Goog-Meta-{COMMIT_ID}"),
        )

    def read(self, key: str, offset: int, into: Sequence[memoryview], version: str | None = None) -> None:
        try:
            self._read(key, offset, into, {} if version is None else {"generation": _generation(version)})
        except ObjectNotFoundError:
            if version is not None:
                self._require_version(key, version)
            raise

    def put(
        self, key: str, data: Buffer, condition: WriteCondition, *, crc32c: int, commit_id: str | None = None
    ) -> ObjectInfo:
        return self._put(key, condition, commit_id, [data], crc32c)

    def create(self, key: str, size: int, condition: WriteCondition, *, commit_id: str | None = None) -> Upload:
        if size <= self._part_size:
            return SinglePutUpload(self.url(key), self._part_size, partial(self._put, key, condition, commit_id))
        answer = self._client.request(
            "POST",
            None,
            {"uploadType": "resumable", "name": key, **_conditions(condition)},
            {"Content-Type": "application/json", "X-Upload-Content-Length": str(size)},
            body=[_metadata(key, commit_id)],
            about=key,
        )
        session = answer.headers.get("Location")
        if not session:
            raise StorageError(f"{self.url(key)}: the server opened no upload session", path=self.url(key))
        return GCSResumableUpload(self._client, key, session, size, self._part_size)

    def copy(
        self, source: ObjectInfo, key: str, condition: WriteCondition, *, commit_id: str | None = None
    ) -> ObjectInfo:
        """Rewrite the source. One request for most; more while the server says that it has not finished."""
        query = {"sourceGeneration": _generation(source.version), **_conditions(condition)}
        while True:
            answer = self._client.request(
                "POST",
                source.key,
                query,
                {"Content-Type": "application/json"},
                body=[_metadata(key, commit_id)],
                rewrite_to=key,
                expect=(200, 404),
                repeatable=isinstance(condition, Always),
                about=key,
            )
            if answer.status == 404:
                self._require_version(source.key, source.version)
                raise gcs_error(self.url(source.key), answer)
            result = parse_json(answer, self.url(key))
            if "resource" in result:  # it is done
                return parse_resource(result["resource"])
            if not result.get("rewriteToken"):
                raise StorageError(
                    f"{self.url(key)}: the server neither finished the copy nor goes on", path=self.url(key)
                )
            query["rewriteToken"] = result["rewriteToken"]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects, one request each and several at a time: the API has no batch of one answer."""
        failures = Failures()

        def delete(key: str) -> None:
            with failures.collected():
                self._client.request("DELETE", key, expect=(200, 204), repeatable=True)

        doomed = [*keys]
        run_side_by_side((partial(delete, key) for key in doomed), threads=max(1, min(len(doomed), _DELETES_AT_ONCE)))
        failures.raise_first()

    def delete_if_version(self, key: str, version: str) -> None:
        query = {"ifGenerationMatch": _generation(version)}
        self._client.request("DELETE", key, query, expect=(200, 204, 404), repeatable=True)

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """None: the service does not list upload sessions. It frees them itself, a week after they began."""
        return iter(())

    def time(self) -> float:
        return self._client.clock.latest

    def close(self) -> None:
        self._client.close()

    def _put(
        self, key: str, condition: WriteCondition, commit_id: str | None, buffers: Sequence[Buffer], crc32c: int
    ) -> ObjectInfo:
        """One multipart/related request: the metadata, with the checksum to compare, and the bytes."""
        boundary = secrets.token_hex(16)
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode()
            + _metadata(key, commit_id, crc32c=encoded(crc32c))
            + f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        )
        answer = self._client.request(
            "POST",
            None,
            {"uploadType": "multipart", **_conditions(condition)},
            {"Content-Type": f"multipart/related; boundary={boundary}"},
            body=[head, *buffers, f"\r\n--{boundary}--".encode()],
            repeatable=isinstance(condition, Always),
            about=key,
        )
        return parse_resource(parse_json(answer, self.url(key)))

    def _read(self, key: str, offset: int, into: Sequence[memoryview], pinned: dict[str, str]) -> None:
        wanted = total_size(into)
        if not wanted:
            answer = self._client.request("GET", key, {"fields": _FIELDS, **pinned}, repeatable=True)
            size = parse_resource(parse_json(answer, self.url(key))).size
            if offset > size:
                raise short_read(offset, 0, str(size), self.url(key))
            return
        answer = self._client.request(
            "GET",
            key,
            {"alt": "media", **pinned},
            range_header(offset, wanted),
            into=into,
            expect=RANGE_STATUSES,
            repeatable=True,
        )
        require_filled(answer, offset, wanted, self.url(key))

    def _require_version(self, key: str, version: str) -> None:
        """Tell a replaced object from a missing one, for which a pinned generation gives the same 404."""
        found = self.stat(key).version
        if found != version:
            raise ObjectChangedError(
                f"{self.url(key)}: the object was replaced while it was read (generation {found}, {version} wanted); "
                "open the checkpoint again",
                path=self.url(key),
            )


def _conditions(condition: WriteCondition) -> dict[str, str]:
    if isinstance(condition, Always):
        return {}
    return {"ifGenerationMatch": "0" if isinstance(condition, IfAbsent) else _generation(condition.version)}


def _generation(version: str) -> str:
    """The generation of a version; 0, which means "absent" to the server, and what was never one match no object."""
    return version if version.isdecimal() and version.strip("0") else _NEVER


def _metadata(key: str, commit_id: str | None, **fields: str) -> bytes:
    """The resource of an object to be; that it has metadata, if none, keeps a copy from taking those of its source."""
    metadata = {COMMIT_ID: commit_id} if commit_id else {}
    resource: dict[str, Any] = {"name": key, "metadata": metadata, **fields}
    return json.dumps(resource).encode()
