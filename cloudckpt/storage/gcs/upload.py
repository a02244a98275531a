"""A large object on its way to Cloud Storage: a resumable session, invisible until its last byte arrives.

One session is one stream: https://cloud.google.com/storage/docs/performing-resumable-uploads . The last part is kept
back until the upload is completed, because the server makes the object visible as soon as it has it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import StorageError, TransientStorageError, UploadCorruptedError
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.gcs.client import parse_json, parse_resource
from cloudckpt.storage.http.checksum import encoded
from cloudckpt.storage.store import ObjectInfo, Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.gcs.client import GCSClient
    from cloudckpt.storage.http.client import Response

PART_SIZE = 128 << 20
"""Bytes of a large object that are sent at once: the parts of a session wait for each other, so they should be few. Up
to so many are one request without a session, whose checksum the server compares before it makes them visible."""
GRANULE = 256 << 10
"""Bytes; the server takes parts of multiples of it, and may keep no more than that of one."""

_log = logging.getLogger(__name__)


class GCSResumableUpload(Upload):
    """Parts go out in order; after a failure the same part, written again, goes on from where the server stands.

    Args:
        client: of the bucket.
        key: the object's.
        session: the address of the session: a secret, as it is its own authorisation.
        size: bytes of the whole object, more than a part.
        part_size: bytes, a multiple of `GRANULE`.
    """

    def __init__(self, client: GCSClient, key: str, session: str, size: int, part_size: int) -> None:
        self.part_size = part_size
        self._client = client
        self._key = key
        self._session = session
        self._size = size
        self._position: int | None = 0
        """The bytes that the server has; None while that is unknown, after a failure."""
        self._last: Sequence[memoryview] = ()
        self._open = True

    def write(self, offset: int, buffers: Sequence[Buffer], crc32c: int) -> None:
        views = flat_views(buffers)
        if offset + sum(map(len, views)) == self._size:
            self._last = views
            return
        finished = self._send(offset, views, {})
        if finished is not None:
            self._remove(finished, "the server took a part of it for the whole")

    def complete(self, crc32c: int) -> ObjectInfo:
        offset = self._size - sum(map(len, self._last))
        finished = self._send(offset, self._last, {"X-Goog-Hash": f"crc32c={encoded(crc32c)}"})
        if finished is None:
            self._position = None  # ask, next time
            raise self._incomplete("has every byte and did not finish")
        self._open = False
        if finished.get("crc32c") != encoded(crc32c) or int(finished["size"]) != self._size:
            self._remove(finished, f"its checksum there is {finished.get('crc32c')}, and {encoded(crc32c)} here")
        return parse_resource(finished)

    def abort(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            self._client.session_request("DELETE", self._session, {}, key=self._key, expect=(200, 204, 404, 410, 499))
        except StorageError as error:
            _log.warning("an unfinished upload stays behind for a week: %s", error)

    def _send(self, offset: int, views: Sequence[memoryview], last: Mapping[str, str]) -> dict[str, Any] | None:
        """Send what the server lacks of these bytes, and return the object's resource if that finished it.

        Args:
            offset: of the views' first byte.
            views: one part.
            last: headers for the last part.
        """
        end = offset + sum(map(len, views))
        if self._position is None:
            finished = self._ask([], f"bytes */{self._size}", {})
            if finished is not None:
                return finished
        while (position := self._known_position()) < end:
            if position < offset:
                url = self._client.url(self._key)
                raise StorageError(
                    f"{url}: the server lost bytes {position} to {offset} of the upload; save again", path=url
                )
            rest = _from(views, position - offset)
            finished = self._ask(rest, f"bytes {position}-{end - 1}/{self._size}", last)
            if finished is not None:
                return finished
            if self._known_position() <= position:
                raise self._incomplete(f"stays at byte {position}")
        return None

    def _ask(
        self, views: Sequence[memoryview], content_range: str, headers: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Send bytes or, without any, ask for the session's state; returns the resource of a finished object."""
        self._position = None
        answer = self._client.session_request(
            "PUT",
            self._session,
            {"Content-Range": content_range, **headers},
            key=self._key,
            body=views,
            expect=(200, 201, 308),
        )
        if answer.status == 308:
            self._position = _stored(answer)
            return None
        return parse_json(answer, self._client.url(self._key))

    def _known_position(self) -> int:
        if self._position is None:
            raise self._incomplete("did not say what it has")
        return self._position

    def _incomplete(self, what: str) -> TransientStorageError:
        url = self._client.url(self._key)
        return TransientStorageError(f"{url}: the server {what}", path=url)

    def _remove(self, resource: Mapping[str, Any], found: str) -> None:
        """Take back what the server made visible and is not what was sent; other generations stay.

        Raises:
            UploadCorruptedError: always.
        """
        self._open = False
        url = self._client.url(self._key)
        outcome = "it was removed"
        try:
            query = {"ifGenerationMatch": str(resource["generation"])}
            self._client.request("DELETE", self._key, query, expect=(200, 204, 404))
        except StorageError as error:
            outcome = f"it could not be removed ({error})"
        raise UploadCorruptedError(f"{url}: the upload was damaged: {found}; {outcome}; save again", path=url)


def _stored(answer: Response) -> int:
    """The bytes that the server has, from a header such as `bytes=0-262143`; without one it has none."""
    last: str = answer.headers.get("Range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdecimal() else 0


def _from(views: Sequence[memoryview], skip: int) -> list[memoryview]:
    """The views without their first bytes."""
    rest = []
    for view in views:
        rest.append(view[skip:])
        skip = max(0, skip - len(view))
    return rest
