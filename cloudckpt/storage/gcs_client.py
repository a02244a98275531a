"""Requests to one Cloud Storage bucket by its JSON API: authorised by gcsfs, sent, and judged."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cloudckpt.errors import StorageError, TransientStorageError
from cloudckpt.storage.gcs_errors import credentials_error, gcs_error, session_error
from cloudckpt.storage.http import ANSWER_LIMIT, READ_TIMEOUT, HttpClient, Request
from cloudckpt.storage.store import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.http import Response

COMMIT_ID = "cloudckpt-commit"
_API = "storage/v1/"


class GCSClient:
    """One bucket, for any number of threads.

    Args:
        bucket: its name.
        filesystem: a gcsfs.GCSFileSystem, which knows the endpoint and renews the credentials.
    """

    def __init__(self, bucket: str, filesystem: Any) -> None:
        self._bucket = bucket
        self._filesystem = filesystem
        self._http = HttpClient(read_timeout=_read_timeout(filesystem))

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
        """Send one request about an object, or about all of them.

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
        authorised = self._authorised(headers or {}, subject)
        answer = self._http.request(Request(method, address, authorised, subject, body, into, repeatable, limit))
        if answer.status not in expect:
            raise gcs_error(subject, answer)
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
        answer = self._http.request(Request(method, session, headers, self.url(key), body))
        if answer.status not in expect:
            raise session_error(self.url(key), answer)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _address(self, key: str | None, query: dict[str, str], rewrite_to: str | None) -> str:
        base: str = self._filesystem.base
        if "uploadType" in query:
            base = f"{base.removesuffix(_API)}upload/{_API}"
        payer = self._filesystem.requester_pays
        if payer:
            query["userProject"] = payer if isinstance(payer, str) else self._filesystem.project
        objects = f"b/{quote(self._bucket, safe='')}/o"
        path = objects if key is None else f"{objects}/{quote(key, safe='')}"
        if rewrite_to is not None:
            path += f"/rewriteTo/{objects}/{quote(rewrite_to, safe='')}"
        parameters = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"{base}{path}{parameters}"

    def _authorised(self, headers: Mapping[str, str], subject: str) -> dict[str, str]:
        authorised = dict(headers)
        try:
            self._filesystem.credentials.apply(authorised)
        except Exception as error:
            # gcsfs and google-auth raise errors of several libraries; a refused account is the usual cause.
            raise credentials_error(subject, error) from error
        return authorised


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


def _read_timeout(filesystem: Any) -> float:
    timeout = filesystem.requests_timeout
    return float(timeout) if isinstance(timeout, (int, float)) else READ_TIMEOUT
