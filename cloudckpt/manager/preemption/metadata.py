"""A cloud's metadata server: plain HTTP to an address of this machine alone, never over a proxy."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudckpt.storage.deadline import time_limit, under_way

if TYPE_CHECKING:
    import http.client
    from collections.abc import Mapping
    from datetime import datetime
    from email.message import Message

__all__ = ["LINK_LOCAL", "Answer", "MetadataServer"]

LINK_LOCAL = "http://169.254.169.254"
"""Where GCE, AWS and Azure have it; the names that lead there would need a resolver, which may take its time."""
TIMEOUT = 2.0
"""Seconds for one answer: it comes from the host itself, in milliseconds."""
LONGEST_ANSWER = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes
    headers: Message

    def text(self) -> str:
        """The body; what is not UTF-8 in it is replaced."""
        return self.body.decode(errors="replace").strip()

    def until(self, moment: datetime) -> float:
        """The seconds from this answer to a moment that it names, by the server's own clock if it tells."""
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - as `http.client`

        try:
            now = parsedate_to_datetime(self.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError):
            now = time.time()
        return moment.timestamp() - now


class MetadataServer:
    """One server. Used by one thread, except `cut`.

    Args:
        endpoint: "http://host:port".

    Raises:
        ValueError: it is not of that form.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint if "//" in endpoint else f"http://{endpoint}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"a metadata server is at http://host or http://host:port, got {endpoint!r}")
        self.endpoint = f"http://{parts.netloc}"
        self._address = (parts.hostname, parts.port or 80)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def ask(self, path: str, headers: Mapping[str, str], *, method: str = "GET", timeout: float = TIMEOUT) -> Answer:
        """One request, whatever its status, on a connection of its own.

        Raises:
            ConnectionError: no answer came, or none that is HTTP.
            TimeoutError: not all of it came within so many seconds.
        """
        import http.client  # noqa: PLC0415 - most programs never need it, and it takes 10 ms

        # http.client knows nothing of proxies, which is what is wanted: a proxy would answer for its own machine.
        connection = http.client.HTTPConnection(*self._address, timeout=timeout)
        end = time.monotonic() + timeout
        try:
            with time_limit(timeout), under_way(self.cut):
                self._connect(connection)
                connection.request(method, path, headers=dict(headers))
                with connection.getresponse() as answer:
                    body = _body(answer)
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= end:
                raise self._too_slow(path, timeout) from error
            raise ConnectionError(f"{self.endpoint} did not answer {path}: {error!r}") from error
        finally:
            with self._lock:
                self._socket = None
            connection.close()
        if time.monotonic() >= end:
            # An answer that was cut off within its headers looks like a whole one.
            raise self._too_slow(path, timeout)
        return Answer(answer.status, body, answer.headers)

    def cut(self) -> None:
        """End the request that is under way, if there is one: it raises. From any thread."""
        with self._lock:
            if self._socket is not None:
                # The server may have gone already.
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _too_slow(self, path: str, timeout: float) -> TimeoutError:
        return TimeoutError(f"{self.endpoint} did not answer {path} within {timeout:g} s")

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        connection.connect()
        with self._lock:
            self._socket = connection.sock


def _body(answer: http.client.HTTPResponse) -> bytes:
    body = answer.read(LONGEST_ANSWER)
    if answer.length and len(body) < LONGEST_ANSWER:
        raise ConnectionError(f"the answer ended {answer.length} bytes too soon")
    return body
