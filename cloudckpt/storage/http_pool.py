"""Kept-alive HTTP connections, one pool per process, handed to one thread at a time."""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import NamedTuple

_MOST_IDLE = 64
"""Idle connections kept per origin: more than anyone runs threads for transfers."""


class Origin(NamedTuple):
    """Where a connection goes."""

    scheme: str
    host: str
    port: int


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


class ConnectionPool:
    """Hands out connections that are open and quiet, newest first, or opens new ones.

    A forked child has connections of its own: those that it inherited belong to the parent, and are closed on its side
    without a byte sent.

    Args:
        connect_timeout: seconds for the connection to stand, TLS included.
        read_timeout: seconds without a byte, in either direction, before the server counts as gone.
        tls: how servers are verified; by default against the system's trust.
    """

    def __init__(self, *, connect_timeout: float, read_timeout: float, tls: ssl.SSLContext | None = None) -> None:
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._tls = tls
        # Keyed by process: a lock that another thread held while the process forked stays locked in the child.
        self._of_process: dict[int, _Idle] = {}
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
            if not _has_ended(kept):
                return kept, True
            kept.close()
        return self._open(origin), False

    def release(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        """Give a connection back whose answer was read to its end."""
        idle = self._idle()
        with idle.lock:
            kept = idle.by_origin.setdefault(origin, [])
            if not self._closed and len(kept) < _MOST_IDLE:
                kept.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they are given back."""
        self._closed = True
        self._idle().drain()

    def _idle(self) -> _Idle:
        process = os.getpid()
        idle = self._of_process.get(process)
        if idle is None:
            for inherited in [pid for pid in self._of_process if pid != process]:
                abandoned = self._of_process.pop(inherited, _Idle())
                _Idle(by_origin=abandoned.by_origin).drain()
            idle = self._of_process.setdefault(process, _Idle())
        return idle

    def _pop(self, origin: Origin) -> http.client.HTTPConnection | None:
        idle = self._idle()
        with idle.lock:
            kept = idle.by_origin.get(origin)
            return kept.pop() if kept else None

    def _open(self, origin: Origin) -> http.client.HTTPConnection:
        # The place for proxies: a connection to the proxy, and set_tunnel for https.
        connection: http.client.HTTPConnection
        if origin.scheme == "https":
            # One for all: reading the system's authorities takes longer than a handshake.
            self._tls = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                origin.host, origin.port, timeout=self._connect_timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(origin.host, origin.port, timeout=self._connect_timeout)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock.settimeout(self._read_timeout)
        except BaseException:
            connection.close()
            raise
        return connection


def _has_ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the server closed it: a quiet connection has nothing to read, an ended one has its end."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
