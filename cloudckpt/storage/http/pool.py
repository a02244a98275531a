"""Kept-alive HTTP connections, one pool per process, handed to one thread at a time."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from cloudckpt.storage.deadline import remaining, under_way
from cloudckpt.storage.http.tls import tls_context
from cloudckpt.storage.per_process import PerProcess

if TYPE_CHECKING:
    import ssl

    from cloudckpt.storage.http.proxy import Proxy

__all__ = ["ConnectionPool", "Origin", "is_readable", "shut"]

_MOST_IDLE = 64
"""Idle connections kept per origin: more than anyone runs threads for transfers."""
_SHORTEST_TIMEOUT = 0.001
"""Seconds; 0 would mean not to wait at all, and not that the time is over."""


class Origin(NamedTuple):
    """Where a connection goes."""

    scheme: str
    host: str
    port: int
    proxy: Proxy | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}" + (f" through the proxy {self.proxy}" if self.proxy else "")


@dataclass(slots=True)
class _Idle:
    """The connections that one process has and nobody uses at the moment."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    by_origin: dict[Origin, list[http.client.HTTPConnection]] = field(default_factory=dict)

    def drain(self) -> None:
        with self.lock:
            connections = [connection for kept in self.by_origin.values() for connection in kept]
            self.by_origin.clear()
        for connection in connections:
            connection.close()


def _abandon(inherited: _Idle) -> None:
    """Close what a child has inherited, without its lock, which a thread of the parent may have held."""
    _Idle(by_origin=inherited.by_origin).drain()


class ConnectionPool:
    """Hands out connections that are open and quiet, newest first, or opens new ones.

    A forked child has connections of its own: those that it inherited belong to the parent, and are closed on its side
    without a byte sent.

    Args:
        connect_timeout: seconds for the connection to stand, and then for its TLS.
        read_timeout: seconds without a byte, in either direction, before the server counts as gone.
        tls: how servers are verified; by default as `tls_context` does.
        response_class: what reads the heads of answers.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        read_timeout: float,
        tls: ssl.SSLContext | None,
        response_class: type[http.client.HTTPResponse],
    ) -> None:
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._tls = tls
        self._response_class = response_class
        self._idle = PerProcess(_Idle, _abandon)
        self._closed = False

    def acquire(self, origin: Origin, *, fresh: bool = False) -> tuple[http.client.HTTPConnection, bool]:
        """Take a connection, and whether it has carried a request before.

        Args:
            origin: where to.
            fresh: open a new one, as the kept ones have proved stale.

        Raises:
            OSError: it could not be opened.
        """
        while not fresh and (kept := self._pop(origin)):
            if not is_readable(kept.sock):  # a quiet connection has nothing to read, an ended one has its end
                return kept, True
            kept.close()
        return self._open(origin), False

    def release(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        """Give a connection back whose answer was read to its end."""
        idle = self._idle.get()
        with idle.lock:
            kept = idle.by_origin.setdefault(origin, [])
            if not self._closed and len(kept) < _MOST_IDLE:
                kept.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they are given back."""
        self._closed = True
        self._idle.get().drain()

    def _pop(self, origin: Origin) -> http.client.HTTPConnection | None:
        idle = self._idle.get()
        with idle.lock:
            kept = idle.by_origin.get(origin)
            return kept.pop() if kept else None

    def _open(self, origin: Origin) -> http.client.HTTPConnection:
        connection = self._connection(origin)
        sock = _connect((connection.host, connection.port), self._connect_timeout)
        # Private, but the only place between a name and TLS: of its many addresses each may take its time.
        connection._create_connection = lambda *_: sock  # type: ignore[attr-defined]  # noqa: SLF001 - see above
        connection.response_class = self._response_class
        try:
            # TLS takes the socket over, and gives the new one away at the end of its handshake only.
            with sock.dup() as handle, under_way(partial(shut, handle)):
                connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock.settimeout(self._read_timeout)
        except BaseException:
            connection.close()
            sock.close()
            raise
        return connection

    def _connection(self, origin: Origin) -> http.client.HTTPConnection:
        host, port = (origin.proxy.host, origin.proxy.port) if origin.proxy else (origin.host, origin.port)
        if origin.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._connect_timeout)
        # One for all: reading the system's authorities takes longer than a handshake.
        self._tls = self._tls or tls_context()
        connection = http.client.HTTPSConnection(host, port, timeout=self._connect_timeout, context=self._tls)
        if origin.proxy:
            headers = {"Host": f"{origin.host}:{origin.port}", **dict(origin.proxy.headers)}
            connection.set_tunnel(origin.host, origin.port, headers)
        return connection


def shut(sock: socket.socket) -> None:
    """End a connection under whoever waits for it: what is read ends, what is written fails.

    TLS is not told, because a thread that still writes would then do so without it.
    """
    with suppress(OSError):  # it has ended before
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def is_readable(sock: socket.socket) -> bool:
    """Whether something has arrived, if only the end."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _connect(address: tuple[str, int], timeout: float) -> socket.socket:
    """`socket.create_connection`, within the time that the caller has set."""
    failure: OSError | None = None
    for family, kind, protocol, _, target in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        left, sock = remaining(), socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout if left is None else max(_SHORTEST_TIMEOUT, min(timeout, left)))
            with under_way(partial(shut, sock)):
                sock.connect(target)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            failure = error
        else:
            return sock
    raise failure or OSError(f"{address[0]} has no address")
