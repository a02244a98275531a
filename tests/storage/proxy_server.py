"""A small HTTP proxy: requests in absolute form are handed on, and CONNECT opens a tunnel."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class ProxyServer:
    """Listens until the block of `proxy_server` ends.

    Attributes:
        demands: what the header Proxy-Authorization must say.
        seen: method and target of each request, and its headers by lower-case names.
    """

    demands: str | None = None
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, client.makefile("rb") as stream:
            while head := read_head(stream):
                method, target, headers = head
                self.seen.append(head)
                if self.demands is not None and headers.get("proxy-authorization") != self.demands:
                    client.sendall(REFUSAL)
                    return
                if method == "CONNECT":
                    host, _, port = target.rpartition(":")
                    with socket.create_connection((host, int(port))) as server:
                        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                        pass_both_ways(client, server)
                    return
                self.hand_on(client, stream, method, target, headers)

    def hand_on(
        self, client: socket.socket, stream: BinaryIO, method: str, target: str, headers: dict[str, str]
    ) -> None:
        url = urlsplit(target)
        kept = {name: value for name, value in headers.items() if not name.startswith("proxy-")}
        lines = [f"{method} {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in kept.items()), "", ""]
        with socket.create_connection((url.hostname, url.port)) as server:
            server.sendall("\r\n".join(lines).encode() + stream.read(int(headers.get("content-length", 0))))
            with server.makefile("rb") as answer:
                first = answer.readline()
                client.sendall(first)
                length = 0
                while (line := answer.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                    client.sendall(line)
                client.sendall(b"\r\n" + answer.read(length))


def read_head(stream: BinaryIO) -> tuple[str, str, dict[str, str]] | None:
    request = stream.readline().decode("latin-1").split(" ")
    if len(request) < 3:
        return None
    headers = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").rstrip("\r\n").partition(": ")
        headers[name.lower()] = value
    return request[0], request[1], headers


def pass_both_ways(client: socket.socket, server: socket.socket) -> None:
    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=[server, client], daemon=True)
    back.start()
    copy(client, server)
    back.join(10)


@contextmanager
def proxy_server(demands: str | None = None) -> Iterator[ProxyServer]:
    server = ProxyServer(demands)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(10)
