"""A TCP proxy before an HTTP server that pulls a trigger at an exactly chosen moment of the conversation.

It passes every byte on as it came and reads along: when the request that a `Moment` describes goes through, it lets
the chosen share of its body pass, pulls the trigger, and cuts that connection. The server never sees the rest.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

CHUNK = 1 << 16


@dataclass(frozen=True)
class Moment:
    """A point in the requests that pass, each seen as "METHOD /path?query"."""

    at: str
    """A regular expression: the request that pulls the trigger."""
    after: str | None = None
    """A regular expression: the request must come after one that matches this."""
    share: float = 0.0
    """How much of its body is passed on first; at 0.0 the server does not see the request at all."""


class Tripwire:
    """The proxy: it listens from its making until it is closed, and is armed with one moment at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._moment: Moment | None = None
        self._pull: Callable[[], None] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where clients find the server behind the wire."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def arm(self, moment: Moment, pull: Callable[[], None]) -> None:
        """Call `pull`, once, when the moment comes."""
        with self._lock:
            self._moment, self._pull = moment, pull

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        # accept() raises once the listener is closed.
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        """Carry one connection, request by request, until either side has gone."""
        with client, socket.create_connection(self._upstream) as server, contextlib.suppress(OSError):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_carry_answers, args=(server, client), daemon=True).start()
            requests = client.makefile("rb")
            while head := _read_head(requests):
                if not self._carry_request(head, requests, server):
                    break
            server.shutdown(socket.SHUT_RDWR)

    def _carry_request(self, head: bytes, body: BufferedReader, server: socket.socket) -> bool:
        """Pass one request on; False if the wire was tripped and the connection is to be cut."""
        length = _content_length(head)
        moment = self._trips(head)
        if moment is None:
            server.sendall(head)
            return _copy(body, server, length)
        if moment.share:
            server.sendall(head)
            _copy(body, server, int(length * moment.share))
        self._pull()
        return False

    def _trips(self, head: bytes) -> Moment | None:
        """The armed moment, if this request is it: it is then no longer armed."""
        request = head.partition(b" HTTP/")[0].decode("latin-1")
        with self._lock:
            moment = self._moment
            if moment is None:
                return None
            if moment.after is not None:
                if re.search(moment.after, request):
                    self._moment = Moment(moment.at, share=moment.share)
                return None
            if not re.search(moment.at, request):
                return None
            self._moment = None
            return moment


def _carry_answers(server: socket.socket, client: socket.socket) -> None:
    # Either side may vanish at any time: that is what this is for.
    with contextlib.suppress(OSError):
        while data := server.recv(CHUNK):
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)


def _read_head(requests: BufferedReader) -> bytes:
    """The request line and headers to the blank line; empty when the client has gone."""
    lines = []
    while line := requests.readline():
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)
    return b""


def _content_length(head: bytes) -> int:
    if re.search(rb"\r\ntransfer-encoding:", head, re.IGNORECASE):
        raise NotImplementedError("the tripwire reads bodies of a stated Content-Length only")
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def _copy(source: BufferedReader, target: socket.socket, length: int) -> bool:
    """Copy that many bytes; False if the source ended before."""
    while length:
        data = source.read1(min(length, CHUNK))
        if not data:
            return False
        target.sendall(data)
        length -= len(data)
    return True
