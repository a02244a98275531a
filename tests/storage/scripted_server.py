"""An HTTP server that answers from a script: for what no emulator shows, byte by byte."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Answer:
    """What the server does with one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Send only so many bytes of the body, then end the connection."""
    drop: bool = False
    """End the connection without an answer."""
    hang: bool = False
    """Give no answer until the server stops."""
    early: bool = False
    """Answer before the body of the request is read, and end the connection."""
    close_after: bool = False
    """End the connection after the answer, without having said so."""
    raw: bytes | None = None
    """Send these bytes instead, and end the connection."""
    trickle: float | None = None
    """Send the answer byte by byte, with so many seconds between them, until the server stops."""
    unasked: bool = False
    """Begin with `100 Continue`, before the body of the request is read."""

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lengths = {} if "Transfer-Encoding" in self.headers else {"Content-Length": str(len(self.body))}
        lines = [f"HTTP/1.1 {self.status} Scripted"] + [
            f"{name}: {v}" for name, v in {**lengths, **self.headers}.items()
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body[: self.cut]


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    method: str
    target: str
    headers: dict[str, str]
    """By lower-case names."""
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        pairs = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[0] for name, values in pairs.items()}


class ScriptedServer:
    """Answers requests in the order of the script, whatever connection they come over.

    Args:
        script: the answers; or one function, which answers every request.
        tls: with the server's certificate, for https.
    """

    def __init__(self, script: list[Answer] | Callable[[Seen], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self._tls = tls
        self.seen: list[Seen] = []
        self.connections = 0
        self.ended = threading.Event()
        """Set when the server has ended a connection."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "{}://127.0.0.1:{}".format("https" if tls else "http", self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):  # it has ended before
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=[connection], daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            wrapped = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with wrapped, wrapped.makefile("rb") as stream:
                while self._serve_one(wrapped, stream):
                    pass
        except OSError:
            connection.close()  # the client has gone
        self.ended.set()

    def _serve_one(self, connection, stream) -> bool:
        head = []
        while (line := stream.readline()) not in (b"\r\n", b""):
            head.append(line.decode("latin-1").rstrip("\r\n"))
        if not head:
            return False
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        with self._lock:
            scripted = None if callable(self.script) else self.script.pop(0)
        if scripted and scripted.unasked:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b"" if scripted and scripted.early else stream.read(int(headers.get("content-length", 0)))
        seen = Seen(method, target, headers, body)
        with self._lock:
            self.seen.append(seen)
        answer = scripted or self.script(seen)
        if answer.hang:
            self._stopping.wait(30)
        if answer.drop or answer.hang:
            return False
        encoded = answer.encoded()
        if answer.trickle is not None:
            for number in range(len(encoded)):
                connection.sendall(encoded[number : number + 1])
                if self._stopping.wait(answer.trickle):
                    return False
        connection.sendall(encoded[: -len(answer.body)] if method == "HEAD" and answer.body else encoded)
        return answer.cut is None and answer.raw is None and not answer.early and not answer.close_after


@contextmanager
def scripted_server(
    *answers: Answer, by: Callable[[Seen], Answer] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedServer]:
    """A server for the block; at its end the whole script must have been used."""
    server = ScriptedServer(by or list(answers), tls)
    try:
        yield server
    finally:
        server.stop()
    assert by or server.script == [], "the client asked less often than the script expects"
