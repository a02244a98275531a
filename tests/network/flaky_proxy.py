"""An HTTP proxy before a real server, in which one request goes wrong: or every one, from some point on."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Fate = Callable[["Exchange"], None]
    Plan = Callable[[int, str], Fate]

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Exchange:
    """One request at the proxy, and the ways on from there.

    Attributes:
        line: such as "PUT /bucket/key?partNumber=1".
        headers: of the request.
        replied: whether the client got a whole answer, so that its connection may stay.
    """

    def __init__(self, handler: _Handler, proxy: FlakyProxy) -> None:
        self._handler = handler
        self._proxy = proxy
        self.headers = handler.headers
        length = int(handler.headers.get("Content-Length", 0))
        self._body = handler.rfile.read(length)
        if len(self._body) < length:
            raise ConnectionError("the client ended its request early")
        self.line = f"{handler.command} {handler.path}"
        self.replied = False

    def forward(self) -> bytes:
        """Let the server do it; its answer, with its head, for `reply`."""
        return self._proxy.serve(self)

    def ask_server(self) -> bytes:
        """Send the server the request, and wait for its answer."""
        with closing(self._connect()) as server:
            server.sendall(self._head() + self._body)
            return self._received(server)

    def forward_half(self) -> None:
        """Send the server half of the request, and end the connection."""
        whole = self._body or self._head()
        with closing(self._connect()) as server:
            server.sendall(self._head() * bool(self._body) + whole[: len(whole) // 2])
            server.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                server.recv(1 << 16)  # it has taken notice

    def reply(self, answer: bytes) -> None:
        """Send the client a whole answer."""
        self._handler.wfile.write(answer)
        self.replied = True

    def reply_half(self, answer: bytes) -> None:
        """Send the client an answer up to the middle of its body; without one, of its head."""
        head, end, body = answer.partition(b"\r\n\r\n")
        if not body:
            self.reply_half_the_head(answer)
        else:
            self._handler.wfile.write(head + end + body[: len(body) // 2])

    def reply_half_the_head(self, answer: bytes) -> None:
        """Send the client an answer up to the middle of its head, at the end of a line."""
        lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
        self._handler.wfile.write(b"\r\n".join([*lines[: len(lines) // 2], b""]))

    def wait_for_its_end(self) -> None:
        """Let the client wait; returns once it has ended the connection."""
        with suppress(ConnectionError):
            self._handler.rfile.read(1)

    def _connect(self) -> socket.socket:
        upstream = urlsplit(self._proxy.upstream)
        return socket.create_connection((upstream.hostname, upstream.port), timeout=30)

    def _head(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self._handler.headers.items())
        return f"{self._handler.requestline}\r\n{fields}\r\n".encode("latin-1")

    def _received(self, server: socket.socket) -> bytes:
        with http.client.HTTPResponse(server, method=self._handler.command) as answer:
            answer.begin()
            fields = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
            length = answer.headers.get("Content-Length", "0")
            body = answer.read()
        if self._handler.command != "HEAD":
            length = str(len(body))
        return encoded(answer.status, answer.reason, [*fields, ("Content-Length", length)], body)


def encoded(status: int, reason: str, fields: list[tuple[str, str]], body: bytes) -> bytes:
    """An answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def passed_on(exchange: Exchange) -> None:
    """What becomes of a request when nothing goes wrong."""
    exchange.reply(exchange.forward())


def _healthy(number: int, line: str) -> Fate:
    return passed_on


class FlakyProxy:
    """Passes requests on to a server, and counts them.

    Args:
        upstream: the server's URL.
        serve: gets the server's answer to a request; by default, by asking it.

    Attributes:
        upstream: the server's URL; may be set later than the proxy's own is known.
        seen: the requests since `arm` or `plan`, in the order in which they arrived.
        mistakes: what went wrong in the proxy itself.
    """

    def __init__(self, upstream: str = "", serve: Callable[[Exchange], bytes] = Exchange.ask_server) -> None:
        self.upstream = upstream
        self.serve = serve
        self.seen: list[str] = []
        self.mistakes: list[BaseException | None] = []
        self._lock = threading.Lock()
        self._plan: Plan = _healthy
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def arm(self, fault: Fate, at: int, *, forever: bool = False) -> None:
        """Let the request of that number, from 1, go wrong, and those after it if it is `forever`."""
        self.plan(lambda number, _: fault if number == at or (forever and number > at) else passed_on)

    def plan(self, plan: Plan) -> None:
        """Count from 1 again, and let `plan` say what becomes of each request, by its number and its line."""
        with self._lock:
            self.seen, self._plan = [], plan

    def heal(self) -> None:
        """Pass everything on from now."""
        with self._lock:
            self._plan = _healthy

    def close(self) -> None:
        """Take no more connections."""
        self._server.shutdown()
        self._server.server_close()

    def handle(self, exchange: Exchange) -> None:
        with self._lock:
            self.seen.append(exchange.line)
            fate = self._plan(len(self.seen), exchange.line)
        fate(exchange)


class _Server(ThreadingHTTPServer):
    proxy: FlakyProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed, and servers that are down, are what this proxy is for; all else is its mistake."""
        error = sys.exception()
        if not isinstance(error, OSError | http.client.HTTPException):
            self.proxy.mistakes.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(1 << 16)
        if not self.raw_requestline or not self.parse_request():
            return
        exchange = Exchange(self, self.server.proxy)
        self.server.proxy.handle(exchange)
        self.close_connection = not exchange.replied


@contextmanager
def flaky_proxy(upstream: str = "", serve: Callable[[Exchange], bytes] = Exchange.ask_server) -> Iterator[FlakyProxy]:
    """A proxy for the block."""
    proxy = FlakyProxy(upstream, serve)
    try:
        yield proxy
    finally:
        proxy.close()
    assert proxy.mistakes == []
