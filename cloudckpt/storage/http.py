"""The one way to a bucket's server: HTTP/1.1 out of the caller's memory, and straight into it.

Bodies are sent as the buffers that they are, and ranges are read into the buffers where they shall be: Python copies
no byte on the way. It knows no cloud; who calls it signs, names the object in messages, and judges the status.
"""

from __future__ import annotations

import http.client
import os
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudckpt.errors import StorageError, TransientStorageError
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.http_pool import ConnectionPool, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import Message

    from typing_extensions import Buffer

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
ANSWER_LIMIT = 64 << 20
"""Bytes of an answer that says something about objects; only objects themselves may be larger."""

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""What a server answers when the same request may succeed later."""

_PIECE = 1 << 20
"""Bytes that must go out within the read timeout, so that it does not depend on the size of a part."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Request:
    """What to send, and where the answer goes."""

    method: str
    url: str = field(repr=False)
    """Absolute and encoded. It may be a secret: that of an upload session is its own authorisation."""
    headers: Mapping[str, str] = field(repr=False)
    """Sent as they are, with Host, Content-Length and Accept-Encoding added."""
    subject: str
    """The object's URL, for messages."""
    body: Sequence[Buffer] = ()
    """C-contiguous buffers, sent one after the other."""
    into: Sequence[memoryview] = ()
    """Where the body of a 200 or 206 goes; what does not fit stays unread."""
    repeatable: bool = False
    """A second arrival does no harm: it may be sent again where a kept-alive connection turns out to be closed before
    a byte of the answer came."""
    limit: int | None = ANSWER_LIMIT
    """The most bytes of a body that is returned; None for an object's."""


@dataclass(frozen=True, slots=True)
class Response:
    """A server's answer."""

    status: int
    headers: Message
    body: bytes = b""
    """Empty where the body went into the caller's buffers."""
    filled: int = 0
    """Bytes that went into the caller's buffers."""


class HttpClient:
    """Sends requests from any number of threads, each over a connection of its own.

    Args:
        connect_timeout: seconds.
        read_timeout: seconds without a byte.
        tls: how servers are verified; by default against the system's trust.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._pool = ConnectionPool(connect_timeout=connect_timeout, read_timeout=read_timeout, tls=tls)

    def request(self, request: Request) -> Response:
        """Send a request and read the answer, whatever its status.

        Raises:
            TransientStorageError: there was no whole answer.
            StorageError: the server's certificate is not trusted, or its answer is beyond the limit.
        """
        target = urlsplit(request.url)
        if target.scheme not in _DEFAULT_PORTS or not target.hostname:
            raise StorageError(
                f"{request.subject}: the endpoint must be a URL that begins with https:// or http://",
                path=request.subject,
            )
        origin = Origin(target.scheme, target.hostname, target.port or _DEFAULT_PORTS[target.scheme])
        try:
            return self._exchange(origin, request)
        except StorageError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise StorageError(
                f"{request.subject}: the certificate of {origin.host} is not trusted ({error.verify_message}); "
                "add its authority to the system's trust, or name its file in SSL_CERT_FILE",
                path=request.subject,
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise TransientStorageError(
                f"{request.subject}: {request.method} got no whole answer from {origin.scheme}://{origin.host}:"
                f"{origin.port}: {describe(error)}",
                path=request.subject,
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _exchange(self, origin: Origin, request: Request) -> Response:
        connection, answer = self._ask(origin, request)
        reusable = False
        try:
            response = _receive(answer, request)
            reusable = answer.isclosed() and not answer.will_close
        finally:
            if reusable:
                self._pool.release(origin, connection)
            else:
                connection.close()
                answer.close()  # an answer that ends its connection has taken the socket over
        return response

    def _ask(self, origin: Origin, request: Request) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send the request over a kept connection or a new one, and read the head of the answer."""
        connection, used_before = self._pool.acquire(origin)
        try:
            return connection, _send(connection, request)
        except ConnectionError:
            if not (used_before and request.repeatable):
                raise
        connection, _ = self._pool.acquire(origin, fresh=True)
        return connection, _send(connection, request)


def tls_context(verify: bool | str | None) -> ssl.SSLContext:
    """How servers are verified: against the system's trust, a file or folder of authorities, or not at all.

    Args:
        verify: None or True for the system's trust, a path, or False.
    """
    authorities = verify if isinstance(verify, str) else None
    if authorities is not None and os.path.isdir(authorities):
        context = ssl.create_default_context(capath=authorities)
    else:
        context = ssl.create_default_context(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def retry_after(headers: Message) -> float | None:
    """The seconds that the server asked to wait; it may give them as such or as a date."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # none, or one without sense or time zone
        return None


def http_date(value: str) -> float:
    """The seconds since the epoch of a Date or Last-Modified header; 0.0 for one that is missing or damaged."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return 0.0


def describe(error: BaseException) -> str:
    """What went wrong on the way, in words."""
    if isinstance(error, TimeoutError):
        return "it timed out"
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection ended {error.expected or 'some'} bytes before the end of the answer"
    return str(error) or type(error).__name__


def _send(connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
    """Send the request and read the head of the answer; the connection is closed if that fails."""
    views = flat_views(request.body)
    target = urlsplit(request.url)
    try:
        connection.putrequest(request.method, (target.path or "/") + (f"?{target.query}" if target.query else ""))
        for name, value in request.headers.items():
            connection.putheader(name, value)
        if views or request.method in ("PUT", "POST"):
            connection.putheader("Content-Length", str(sum(map(len, views))))
        connection.endheaders()
        try:
            for view in views:
                for start in range(0, len(view), _PIECE):
                    connection.sock.sendall(view[start : start + _PIECE])
        except ConnectionError as error:
            return _early_answer(connection, error)
        return connection.getresponse()
    except BaseException:
        connection.close()
        raise


def _early_answer(connection: http.client.HTTPConnection, error: ConnectionError) -> http.client.HTTPResponse:
    """The answer of a server that refused before it had read the whole body; where there is none, the error."""
    try:
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException):
        raise error from None
    answer.will_close = True
    return answer


def _receive(answer: http.client.HTTPResponse, request: Request) -> Response:
    if not (request.into and answer.status in (200, 206)):
        return Response(answer.status, answer.headers, body=_read_body(answer, request))
    filled = _fill(answer, request.into)
    answer.read(0)  # takes the end mark of a chunked body
    return Response(answer.status, answer.headers, filled=filled)


def _fill(answer: http.client.HTTPResponse, into: Sequence[memoryview]) -> int:
    """Read the body into the buffers, as far as it goes."""
    filled = 0
    for view in into:
        rest = view
        while rest:
            count = answer.readinto(rest)
            if not count:
                if answer.length:
                    raise http.client.IncompleteRead(b"", answer.length)
                return filled
            filled += count
            rest = rest[count:]
    return filled


def _read_body(answer: http.client.HTTPResponse, request: Request) -> bytes:
    if request.limit is None:
        return answer.read()
    body = answer.read(request.limit + 1)
    if len(body) > request.limit:
        raise StorageError(
            f"{request.subject}: the server's answer is longer than {request.limit} bytes; is the endpoint an object "
            "store?",
            path=request.subject,
        )
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return body
