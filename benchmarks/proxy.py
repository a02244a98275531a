"""A proxy that stands between a client and its server, counts the requests, answers late, and lets some requests fail.

toxiproxy's toxics choose connections; here it must be requests, since a client keeps its connections. Run as a program,
so that it has an interpreter of its own: python -m benchmarks.proxy HOST PORT LATENCY FAIL_EVERY. It prints its port,
and for each line that it reads how many requests came, and how many of them failed.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

__all__ = ["Proxy", "proxy"]

PIECE = 1 << 20
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing drops what is under way, and the other side sees a reset."""
LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CUT_AFTER = 64 << 10
"""Bytes of an answer that still arrive when it is cut."""


@dataclass
class Conduct:
    """How the proxy treats all connections, and what it has seen."""

    server: tuple[str, int]
    latency: float
    """seconds from the end of a request to the first byte of its answer, and for a connection to stand"""
    fail_every: int
    """one of so many requests fails; 0 for none"""
    requests: Counter[str] = field(default_factory=Counter)
    """by method"""
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, method: str) -> int:
        """Take one more request into account; returns the number of the failure that it is to be, or 0."""
        with self.lock:
            self.requests[method] += 1
            if not self.fail_every or self.requests.total() % self.fail_every != self.fail_every // 2:
                return 0
            self.failed += 1
            return self.failed


class Connection:
    """One connection of a client, and ours to the server: a thread for what goes there, one for what comes back."""

    def __init__(self, client: socket.socket, conduct: Conduct) -> None:
        self.client, self.conduct = client, conduct
        self.server = socket.create_connection(conduct.server)
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer_from = time.monotonic() + conduct.latency
        self.awaited = True
        """the next byte from the server begins an answer"""
        self.cut_answer = False

    def serve(self) -> None:
        """Pass everything on until one side ends or breaks off."""
        back = threading.Thread(target=self.pass_answers, daemon=True)
        back.start()
        with suppress(OSError):
            self.pass_requests()
        self.end()

    def pass_requests(self) -> None:
        """From head to head: what is between them is as long as the head says."""
        time.sleep(self.conduct.latency)  # as long as the connection would have taken to stand
        data, room = b"", memoryview(bytearray(PIECE))
        while True:
            while (end := data.find(b"\r\n\r\n") + 4) < 4:
                if not (more := self.client.recv(PIECE)):
                    return
                data += more
            head, data = data[:end], data[end:]
            found = LENGTH.search(head)
            length = int(found[1]) if found else 0
            failure = self.conduct.count(head.partition(b" ")[0].decode())
            if failure % 2:
                self.refuse(length - len(data), room)
                return
            self.cut_answer = bool(failure) and not length
            self.awaited = True
            self.server.sendall(head + data[:length])
            rest, data = length - len(data[:length]), data[length:]
            until = rest // 2 if failure and length else 0
            while rest > until:
                count = self.client.recv_into(room[: min(rest, PIECE)])
                if not count:
                    return
                self.server.sendall(room[:count])
                rest -= count
            if until:
                return
            self.answer_from = time.monotonic() + self.conduct.latency

    def refuse(self, rest: int, room: memoryview) -> None:
        """Answer that the server is too busy, and end the connection."""
        while rest > 0 and (count := self.client.recv_into(room[: min(rest, PIECE)])):
            rest -= count
        time.sleep(self.conduct.latency)
        self.client.sendall(BUSY)
        self.client.shutdown(socket.SHUT_WR)
        self.client.recv(1)  # until the client has read it, and ends its side

    def pass_answers(self) -> None:
        """What comes back is passed on as it is; the first byte of an answer waits."""
        room = memoryview(bytearray(PIECE))
        with suppress(OSError):
            while count := self.server.recv_into(room):
                if self.awaited:
                    self.awaited = False
                    time.sleep(max(0.0, self.answer_from - time.monotonic()))
                if self.cut_answer:
                    self.client.sendall(room[: min(count, CUT_AFTER)])
                    break
                self.client.sendall(room[:count])
        self.end()

    def end(self) -> None:
        """Break both sides off, wherever they are."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass(frozen=True)
class Proxy:
    """One that runs."""

    url: str
    process: Popen[str]

    def counts(self) -> tuple[int, int]:
        """How many requests came since it started, and how many of them it let fail."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        came, failed = json.loads(self.process.stdout.readline())
        return came, failed


@contextmanager
def proxy(server_url: str, *, latency: float = 0.0, fail_every: int = 0) -> Iterator[Proxy]:
    """Run one before a server until the block ends.

    Args:
        server_url: of the server, plain HTTP.
        latency: seconds.
        fail_every: one of so many requests fails; 0 for none.
    """
    address = urlsplit(server_url)
    arguments = [str(address.hostname), str(address.port), str(latency), str(fail_every)]
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Proxy(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.kill()


def main(host: str, port: str, latency: str, fail_every: str) -> None:
    """Serve until the program that started it ends."""
    conduct = Conduct((host, int(port)), float(latency), int(fail_every))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=accept, args=(listener, conduct), daemon=True).start()
        for _ in sys.stdin:
            print(json.dumps((conduct.requests.total(), conduct.failed)), flush=True)


def accept(listener: socket.socket, conduct: Conduct) -> None:
    """A thread for each connection."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=lambda client=client: Connection(client, conduct).serve(), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
