"""The one way to a bucket's server: HTTP/1.1 out of the caller's memory, and straight into it.

Bodies are sent as the buffers that they are, and ranges are read into the buffers where they shall be: Python copies
no byte on the way. It knows no cloud; who calls it signs, names the object in messages, and judges the status.
Redirects are answers like others: nothing that was signed for one server goes to another.
"""

from __future__ import annotations

import http.client
import socket
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudckpt.errors import StorageError
from cloudckpt.storage.deadline import require_time, under_way
from cloudckpt.storage.http.exchange import ENDED, Answer, receive, send
from cloudckpt.storage.http.failures import no_answer, proxy_refusal
from cloudckpt.storage.http.message import (
    ANSWER_LIMIT,
    TRANSIENT_STATUSES,
    Request,
    Response,
    http_date,
    retry_after,
)
from cloudckpt.storage.http.pool import ConnectionPool, Origin, shut
from cloudckpt.storage.http.proxy import Proxies
from cloudckpt.storage.traffic import record

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

__all__ = [
    "ANSWER_LIMIT",
    "CONNECT_TIMEOUT",
    "READ_TIMEOUT",
    "TRANSIENT_STATUSES",
    "HttpClient",
    "Request",
    "Response",
    "http_date",
    "retry_after",
]

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
_PROXY_WANTS_CREDENTIALS = 407
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HttpClient:
    """Sends requests from any number of threads, each over a connection of its own.

    Args:
        connect_timeout: seconds.
        read_timeout: seconds without a byte.
        tls: how servers are verified; by default as `tls_context` does.
        proxies: the URL of a proxy for "http" and for "https"; by default those of the environment.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        tls: ssl.SSLContext | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self._pool = ConnectionPool(
            connect_timeout=connect_timeout, read_timeout=read_timeout, tls=tls, response_class=Answer
        )
        self._proxies = Proxies(proxies)
        self._known: set[Origin] = set()
        """who has answered before"""

    def request(self, request: Request) -> Response:
        """Send a request and read the answer, whatever its status.

        Raises:
            TransientStorageError: there was no whole answer.
            StorageTimeoutError: nor will there be one, as the caller's time is over.
            PermissionDeniedError: a proxy on the way refused.
            StorageError: the server's certificate is not trusted, its answer is beyond the limit, or the URL, the
                proxy or a header can't be used.
        """
        require_time(request.subject)
        origin = self._origin(request)
        try:
            response = self._exchange(origin, request)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, StorageError):
                raise
            raise no_answer(request, origin, error, known=origin in self._known) from error
        except ValueError as error:  # a name that no host can have
            raise _no_endpoint(request.subject, f"{origin} can't be looked up: {error}") from error
        if response.status == _PROXY_WANTS_CREDENTIALS:
            raise proxy_refusal(request.subject, origin, "407")
        self._known.add(origin)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _origin(self, request: Request) -> Origin:
        try:
            target = urlsplit(request.url)
            host, port = target.hostname, target.port or _DEFAULT_PORTS.get(target.scheme)
        except ValueError as error:  # a port that is no number, or half an IPv6 address
            raise _no_endpoint(request.subject, str(error)) from error
        if not host or target.scheme not in _DEFAULT_PORTS or port is None:
            raise _no_endpoint(request.subject, "it has no such scheme, or no host")
        return Origin(target.scheme, host, port, self._proxies.between(target))

    def _exchange(self, origin: Origin, request: Request) -> Response:
        connection, sock, answer = self._ask(origin, request)
        reusable = False
        try:
            with under_way(partial(shut, sock)):
                response = receive(answer, request)
            record(received=response.filled or len(response.body))
            reusable = answer.isclosed() and not answer.will_close
        finally:
            if reusable:
                self._pool.release(origin, connection)
            else:
                connection.close()
                answer.close()  # an answer that ends its connection has taken the socket over
        return response

    def _ask(self, origin: Origin, request: Request) -> _Asked:
        """Send the request over a kept connection or a new one, and read the head of the answer."""
        connection, used_before = self._pool.acquire(origin)
        try:
            return _ask_over(connection, origin, request)
        except ENDED:
            if not (used_before and request.repeatable):
                raise
        connection, _ = self._pool.acquire(origin, fresh=True)
        return _ask_over(connection, origin, request)


def _no_endpoint(subject: str, found: str) -> StorageError:
    return StorageError(
        f"{subject}: the endpoint must be a URL such as https://host or http://host:port ({found})", path=subject
    )


_Asked = tuple[http.client.HTTPConnection, socket.socket, http.client.HTTPResponse]


def _ask_over(connection: http.client.HTTPConnection, origin: Origin, request: Request) -> _Asked:
    proxy = origin.proxy if origin.scheme == "http" else None  # to https:// there is a tunnel
    sock: socket.socket = connection.sock  # an answer may take it from the connection
    try:
        with under_way(partial(shut, sock)):
            return connection, sock, send(connection, request, proxy)
    except BaseException:
        connection.close()
        raise
