"""Requests to one S3 bucket: signed, sent to where the bucket is, and judged."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudckpt.storage.http import ANSWER_LIMIT, CONNECT_TIMEOUT, READ_TIMEOUT, HttpClient, Request, tls_context
from cloudckpt.storage.s3_access import resolve
from cloudckpt.storage.s3_errors import Failure, s3_error
from cloudckpt.storage.s3_xml import bucket_region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.http import Response
    from cloudckpt.storage.s3_access import S3Access

_REGION = re.compile(r"[a-z0-9-]+")


class S3Client:
    """One bucket, for any number of threads; asks botocore for the bucket's address at the first request."""

    def __init__(self, bucket: str, filesystem: Any) -> None:
        self._bucket = bucket
        self._filesystem = filesystem
        self._lock = threading.Lock()
        self._resolved: tuple[S3Access, HttpClient] | None = None

    def url(self, key: str) -> str:
        """The key's URL for messages."""
        return f"s3://{self._bucket}/{key}"

    def copy_source(self, key: str) -> str:
        """The key as the header x-amz-copy-source has it."""
        return f"/{self._bucket}/{quote(key, safe='/-_.~')}"

    @property
    def access(self) -> S3Access:
        """Where the bucket is, and in whose name requests go; may raise as any request."""
        return self._connected()[0]

    def request(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: Sequence[Buffer] = (),
        into: Sequence[memoryview] = (),
        expect: Sequence[int] = (200,),
        repeatable: bool = False,
        limit: int | None = ANSWER_LIMIT,
    ) -> Response:
        """Send one request, and again if the bucket turns out to be in another region.

        Args:
            method: the HTTP method.
            key: the object's, or empty for the bucket itself.
            query: parameters, not encoded.
            headers: without the signature.
            body: as in `Request`.
            into: as in `Request`.
            expect: the statuses that are no error.
            repeatable: as in `Request`.
            limit: as in `Request`.

        Raises:
            StorageError: what went wrong, or what the answer means, classified.
        """
        subject = self.url(key)

        def send(access: S3Access, http: HttpClient) -> Response:
            url = access.url(key, query or {})
            signed = access.signed(method, url, headers or {})
            return http.request(Request(method, url, signed, subject, body, into, repeatable, limit))

        access, http = self._connected()
        response = send(access, http)
        region = _right_region(response)
        if region and region != access.region:
            with self._lock:
                self._resolved = access.in_region(region), http
            response = send(access.in_region(region), http)
        if response.status not in expect:
            raise s3_error(method, subject, Failure.of(response))
        return response

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._resolved is not None:
                self._resolved[1].close()

    def _connected(self) -> tuple[S3Access, HttpClient]:
        with self._lock:
            if self._resolved is None:
                access = resolve(self._bucket, self._filesystem, self.url(""))
                self._resolved = access, _http_client(self._filesystem, secure=access.base.startswith("https:"))
            return self._resolved


def _http_client(filesystem: Any, *, secure: bool) -> HttpClient:
    """A client with the timeouts and the trust that s3fs's options ask for."""
    config = filesystem.config_kwargs
    verify = filesystem.client_kwargs.get("verify")
    if verify is None:
        verify = filesystem.session.get_config_variable("ca_bundle")
    return HttpClient(
        connect_timeout=config.get("connect_timeout", CONNECT_TIMEOUT),
        read_timeout=config.get("read_timeout", READ_TIMEOUT),
        tls=tls_context(verify) if secure else None,
    )


def _right_region(response: Response) -> str | None:
    """The region of the bucket, where the server says that it was asked in another."""
    if response.status not in (301, 307, 400):
        return None
    region = response.headers.get("x-amz-bucket-region") or bucket_region(response.body) or ""
    return region if _REGION.fullmatch(region) else None
