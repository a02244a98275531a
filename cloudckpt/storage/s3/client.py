"""Requests to one S3 bucket: signed, sent to where the bucket is, and judged."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudckpt.storage.http.client import ANSWER_LIMIT, CONNECT_TIMEOUT, READ_TIMEOUT, HttpClient, Request
from cloudckpt.storage.http.tls import tls_context
from cloudckpt.storage.per_process import PerProcess
from cloudckpt.storage.s3.access import resolve
from cloudckpt.storage.s3.credentials import another_filesystem
from cloudckpt.storage.s3.errors import Failure, s3_error
from cloudckpt.storage.s3.remedies import REMEDIES, Refusal
from cloudckpt.storage.server_clock import ServerClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Buffer

    from cloudckpt.storage.http.client import Response
    from cloudckpt.storage.s3.access import S3Access


class _Line:
    """What one process knows of a bucket, and its connections to it; found out at the first request.

    Args:
        bucket: its name.
        filesystem: an s3fs.S3FileSystem with the user's options.
        subject: the bucket's URL, for messages.
    """

    def __init__(self, bucket: str, filesystem: Any, subject: str) -> None:
        self._bucket, self._filesystem, self._subject = bucket, filesystem, subject
        self._lock = threading.Lock()
        self._found: tuple[S3Access, HttpClient] | None = None

    def connected(self) -> tuple[S3Access, HttpClient]:
        """Where the bucket is and how requests are signed, and what sends them."""
        with self._lock:
            if self._found is None:
                access = resolve(self._bucket, self._filesystem, self._subject)
                self._found = access, _http_client(self._filesystem, secure=access.base.startswith("https:"))
            return self._found

    def learn(self, access: S3Access) -> None:
        """Remember what a server said."""
        with self._lock:
            if self._found is not None:
                self._found = access, self._found[1]

    def close(self) -> None:
        """Close the connections. Takes no lock: a thread of the process that this one was forked from may hold it."""
        if self._found is not None:
            self._found[1].close()


class S3Client:
    """One bucket, for any number of threads and forked processes.

    Args:
        bucket: its name.
        filesystem: an s3fs.S3FileSystem with the user's options.

    Attributes:
        clock: the server's.
    """

    def __init__(self, bucket: str, filesystem: Any) -> None:
        self._bucket = bucket
        self._filesystem = filesystem
        self._made_in = os.getpid()
        self.clock = ServerClock()
        self._line = PerProcess(self._make_line, _Line.close)

    def url(self, key: str) -> str:
        """The key's URL for messages."""
        return f"s3://{self._bucket}/{key}"

    def copy_source(self, key: str) -> dict[str, str]:
        """The headers that name a key of this bucket as what is to be copied."""
        source = {"x-amz-copy-source": f"/{self._bucket}/{quote(key, safe='/-_.~')}"}
        return source | self.access.headers.copy_source()

    @property
    def access(self) -> S3Access:
        """Where the bucket is, and in whose name requests go; may raise as any request."""
        return self._line.get().connected()[0]

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
        """Send one request, and again where it was refused for its region, its clock or its credentials.

        Args:
            method: the HTTP method.
            key: the object's, or empty for the bucket itself.
            query: parameters, not encoded.
            headers: without the signature, and without those that the user's options ask for on every request.
            body: as in `Request`.
            into: as in `Request`.
            expect: the statuses that are no error.
            repeatable: as in `Request`.
            limit: as in `Request`.

        Raises:
            StorageError: what went wrong, or what the answer means, classified.
        """
        subject, line = self.url(key), self._line.get()
        access, http = line.connected()

        def send(access: S3Access) -> Refusal:
            url, credentials = access.url(key, query or {}), access.credentials and access.credentials.current()
            signed = access.signed(method, url, {**access.headers.common(method, key), **(headers or {})}, credentials)
            answer = http.request(Request(method, url, signed, subject, body, into, repeatable, limit))
            return Refusal(method, answer, access, credentials)

        sent, untried = send(access), [*REMEDIES]
        while better := _better(sent, untried):
            line.learn(better)
            sent = send(better)
        self.clock.heard(sent.response)
        if sent.response.status not in expect:
            raise s3_error(method, subject, Failure.of(sent.response))
        return sent.response

    def close(self) -> None:
        """Close the connections."""
        self._line.get().close()

    def _make_line(self) -> _Line:
        # A forked child asks botocore anew: the parent's event loop is not there, nor what its locks protect.
        inherited = os.getpid() != self._made_in
        filesystem = another_filesystem(self._filesystem) if inherited else self._filesystem
        return _Line(self._bucket, filesystem, self.url(""))


def _better(sent: Refusal, untried: list[Callable[[Refusal], S3Access | None]]) -> S3Access | None:
    """How to send it again, if it was refused for what can be helped; each remedy is tried once."""
    if sent.response.status < 300:
        return None
    for remedy in untried:
        if better := remedy(sent):
            untried.remove(remedy)
            return better
    return None


def _http_client(filesystem: Any, *, secure: bool) -> HttpClient:
    """A client with the timeouts, the trust and the proxies that s3fs's options ask for."""
    config = filesystem.config_kwargs
    verify = filesystem.client_kwargs.get("verify")
    if verify is None:
        verify = filesystem.session.get_config_variable("ca_bundle")
    return HttpClient(
        connect_timeout=config.get("connect_timeout", CONNECT_TIMEOUT),
        read_timeout=config.get("read_timeout", READ_TIMEOUT),
        tls=tls_context(verify, config.get("client_cert")) if secure else None,
        proxies=config.get("proxies"),
    )
