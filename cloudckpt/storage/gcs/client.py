"""Requests to one Cloud Storage bucket by its JSON API: authorised by gcsfs, sent, and judged."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cloudckpt.errors import StorageError, TransientStorageError
from cloudckpt.storage.gcs.access import GCSAccess
from cloudckpt.storage.gcs.errors import gcs_error, session_error
from cloudckpt.storage.http.client import ANSWER_LIMIT, HttpClient, Request
from cloudckpt.storage.server_clock import ServerClock
from cloudckpt.storage.store import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.http.client import Response

COMMIT_ID = "cloudckpt-commit"


class GCSClient:
    """One bucket, for any number of threads.

    Args:
        bucket: its name.
        filesystem: a gcsfs.GCSFileSystem, which knows the endpoint and renews the credentials.

    Attributes:
        clock: the server's.
    """

    def __init__(self, bucket: str, filesystem: Any) -> None:
        self._bucket = bucket
        self._access = GCSAccess(filesystem)
        self.clock = ServerClock()
        self._http = HttpClient(read_timeout=self._access.read_timeout())

    def url(self, key: str) -> str:
        """The key's URL for messages."""
        return f"gs://{self._bucket}/{key}"

    def request(
        self,
        method: str,
        key: str | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: Sequence[Buffer] = (),
        into: Sequence[memoryview] = (),
        expect: Sequence[int] = (200,),
        repeatable: bool = False,
        limit: int | None = ANSWER_LIMIT,
        rewrite_to: str | None = None,
        about: str | None = None,
    ) -> Response:
        """Send one request about an object, or about all of them; once more where its credentials had to be renewed.

        Args:
            method: the HTTP method.
            key: the object's; None for the bucket's objects: to list them, or to upload another.
            query: parameters, not encoded; with `uploadType` the request goes to the upload service.
            headers: without the authorisation.
            body: as in `Request`.
            into: as in `Request`.
            expect: the statuses that are no error.
            repeatable: as in `Request`.
            limit: as in `Request`.
            rewrite_to: the key of this bucket that the object is rewritten to.
            about: the key or prefix for messages, where `key` does not name it.

        Raises:
            StorageError: what went wrong, or what the answer means, classified.
        """
        subject = self.url(about if about is not None else key or "")
        address = self._address(key, dict(query or {}), rewrite_to)

        def send(authorised: Mapping[str, str]) -> Response:
            return self._http.request(Request(method, address, authorised, subject, body, into, repeatable, limit))

        authorised = self._access.authorised(headers or {}, subject)
        answer = send(authorised)
        if answer.status == 401 and self._access.renew(authorised, subject):
            answer = send(self._access.authorised(headers or {}, subject))
        self.clock.heard(answer)
        if answer.status not in expect:
            raise gcs_error(subject, answer, of_object=key is not None)
        return answer

    def session_request(
        self,
        method: str,
        session: str,
        headers: Mapping[str, str],
        *,
        key: str,
        body: Sequence[Buffer] = (),
        expect: Sequence[int],
    ) -> Response:
        """Send one request to an upload session, whose address is its own authorisation, and so a secret."""
        answer = self._http.request(Request(method, self._access.session(session), headers, self.url(key), body))
        self.clock.heard(answer)
        if answer.status not in expect:
            raise session_error(self.url(key), answer)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _address(self, key: str | None, query: dict[str, str], rewrite_to: str | None) -> str:
        if payer := self._access.payer():
            query["userProject"] = payer
        objects = f"b/{quote(self._bucket, safe='')}/o"
        path = objects if key is None else f"{objects}/{quote(key, safe='')}"
        if rewrite_to is not None:
            path += f"/rewriteTo/{objects}/{quote(rewrite_to, safe='')}"
        parameters = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"{self._access.api(upload='uploadType' in query)}{path}{parameters}"


def parse_json(answer: Response, url: str) -> dict[str, Any]:
    """The document of a successful answer.

    Raises:
        TransientStorageError: it is none.
    """
    try:
        document = json.loads(answer.body)
    except ValueError as error:
        raise TransientStorageError(f"{url}: the server's answer is no JSON ({error})", path=url) from error
    if not isinstance(document, dict):
        raise StorageError(f"{url}: the server's answer is no object resource; is the endpoint right?", path=url)
    return document


def parse_resource(resource: Mapping[str, Any]) -> ObjectInfo:
    """An object from its resource: https://cloud.google.com/storage/docs/json_api/v1/objects ."""
    return ObjectInfo(
        key=resource["name"],
        size=int(resource["size"]),
        version=str(resource["generation"]),
        # Whole seconds, as a download's Last-Modified has them: an object's time shall be the same everywhere.
        modified=float(int(datetime.fromisoformat(resource["updated"]).timestamp())),
        commit_id=(resource.get("metadata") or {}).get(COMMIT_ID),
    )
