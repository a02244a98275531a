"""One request and its answer over one connection: bytes out of the caller's memory, and straight into it."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cloudckpt.errors import StorageError
from cloudckpt.storage.buffers import flat_views
from cloudckpt.storage.http.message import Response
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.storage.http.message import Request
    from cloudckpt.storage.http.proxy import Proxy

__all__ = ["ENDED", "Answer", "receive", "send"]

ENDED = (ConnectionError, ssl.SSLEOFError)
"""What sending, or waiting for an answer, raises when the server has ended the connection."""

_PIECE = 1 << 20
"""Bytes that must go out within the read timeout, so that it does not depend on the size of a part."""


class Answer(http.client.HTTPResponse):
    """An answer whose head arrived whole.

    `http.client` takes the end of a connection for the end of the head, in the middle of a line too: half an ETag, or
    no Content-Length and so an empty object.
    """

    def begin(self) -> None:
        stream: Any = self.fp
        self.fp = _HeadLines(stream)  # type: ignore[assignment]  # all of it that is used here
        try:
            super().begin()
        finally:
            self.fp = stream


class _HeadLines:
    """The lines of a head. Nothing at all is left to `http.client`, which knows that the connection has ended."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._begun = False

    def readline(self, limit: int) -> bytes:
        line: bytes = self._stream.readline(limit)
        if not line.endswith(b"\n") and len(line) < limit and (line or self._begun):
            raise http.client.IncompleteRead(b"")
        self._begun = True
        return line


def send(connection: http.client.HTTPConnection, request: Request, proxy: Proxy | None) -> http.client.HTTPResponse:
    """Send the request and read the head of the answer; if that fails, the connection is of no more use.

    Args:
        connection: open, and quiet.
        request: what to send.
        proxy: at the other end of the connection, to hand the request on; None also for one that passes bytes through.
    """
    views = flat_views(request.body)
    connection.putrequest(request.method, _target(request.url, absolute=proxy is not None))
    for name, value in (*request.headers.items(), *(proxy.headers if proxy else ())):
        _put_header(connection, request, name, value)
    if views or request.method in ("PUT", "POST"):
        connection.putheader("Content-Length", str(sum(map(len, views))))
    connection.endheaders()
    record(requests=1)
    try:
        for view in views:
            for start in range(0, len(view), _PIECE):
                connection.sock.sendall(view[start : start + _PIECE])
    except ENDED as error:
        return _early_answer(connection, error)
    answer = connection.getresponse()
    record(sent=sum(map(len, views)))
    return answer


def _put_header(connection: http.client.HTTPConnection, request: Request, name: str, value: str) -> None:
    try:
        connection.putheader(name, value)
    except ValueError:
        # Not from that error, which shows the value: it may be a token.
        raise StorageError(
            f"{request.subject}: the header {name!r} can't be sent: it has the end of a line in it, or a character "
            "beyond Latin-1; look at the options and the credentials",
            path=request.subject,
        ) from None


def _target(url: str, *, absolute: bool) -> str:
    """What the request line says: the path, or all of the URL but credentials."""
    parts = urlsplit(url)
    site = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if absolute else ""
    return f"{site}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def _early_answer(connection: http.client.HTTPConnection, error: OSError) -> http.client.HTTPResponse:
    """The answer of a server that refused before it had read the whole body; where there is none, the error."""
    try:
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException):
        raise error from None
    answer.will_close = True
    return answer


def receive(answer: http.client.HTTPResponse, request: Request) -> Response:
    """Read the body of an answer, into the request's buffers if it is a success.

    Raises:
        OSError, http.client.HTTPException: it is not whole.
        StorageError: it is beyond the limit.
    """
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
    if request.limit is None and answer.status == 200 and answer.length is None and not answer.chunked:
        raise http.client.IncompleteRead(b"")  # it ends with the connection, whole or not
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
