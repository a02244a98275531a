"""Fakes of the clouds' metadata servers, which speak their protocols as far as notices need them."""

from __future__ import annotations

import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


class MetadataHandler(BaseHTTPRequestHandler):
    """Gives each request to its server's `answer`."""

    protocol_version = "HTTP/1.1"
    server: FakeMetadata

    def do_GET(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        if self.server.silent.is_set():
            self.server.over.wait(30)
            return
        status, body, headers = self.server.answer(self.command, self.path, self.headers)
        self.send_response_only(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


Reply = tuple[int, bytes, dict[str, str]]


class FakeMetadata(ThreadingHTTPServer):
    """A server on a free port, in threads of its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MetadataHandler)
        self.seen: list[str] = []
        self.failures: list[int] = []
        """statuses that the next requests are answered with, whatever they ask"""
        self.silent = threading.Event()
        """while it is set, no request is answered"""
        self.over = threading.Event()
        self.skew = 0.0
        """seconds that this server's clock is ahead"""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def answer(self, method: str, path: str, headers: Any) -> Reply:
        if self.failures:
            return self.failures.pop(0), b"", {}
        status, body, more = self.item(method, path, headers)
        return status, body, {"Date": formatdate(time.time() + self.skew, usegmt=True)} | more

    def item(self, method: str, path: str, headers: Any) -> Reply:
        raise NotImplementedError


class FakeGce(FakeMetadata):
    """GCE's: every request needs its header; a question can wait for a change of a value from a version of it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._values = {"preempted": "FALSE", "maintenance-event": "NONE"}
        self._version = 0

    def set(self, key: str, value: str) -> None:
        with self._changed:
            self._values[key] = value
            self._version += 1
            self._changed.notify_all()

    def item(self, method: str, path: str, headers: Any) -> Reply:
        if headers.get("Metadata-Flavor") != "Google":
            return 403, b"", {}
        parts = urlsplit(path)
        if parts.path == "/":
            return 200, b"computeMetadata/\n", {"Metadata-Flavor": "Google"}
        key, query = parts.path.removeprefix("/computeMetadata/v1/instance/"), parse_qs(parts.query)
        with self._changed:
            if query.get("wait_for_change") == ["true"]:
                self._wait(key, query)
            if key not in self._values:
                return 404, b"", {"Metadata-Flavor": "Google"}
            return 200, self._values[key].encode(), {"Metadata-Flavor": "Google", "ETag": self._etag(key)}

    def _wait(self, key: str, query: dict[str, list[str]]) -> None:
        last = query.get("last_etag", [self._etag(key)])[0]
        self._changed.wait_for(lambda: self._etag(key) != last, float(query["timeout_sec"][0]))

    def _etag(self, key: str) -> str:
        return f"{hash((key, self._values.get(key))) & 0xFFFFFFFF:x}"


class FakeAws(FakeMetadata):
    """EC2's, version 2: nothing without a token, which expires; items that are there only when there is something."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, dict[str, str]] = {}
        self.tokens: list[str] = []
        self.revoked: set[str] = set()

    def item(self, method: str, path: str, headers: Any) -> Reply:
        if path == "/latest/api/token":
            if method != "PUT":
                return 405, b"", {}
            if not headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
                return 400, b"", {}
            self.tokens.append(f"token-{len(self.tokens)}")
            return 200, self.tokens[-1].encode(), {}
        token = headers.get("X-aws-ec2-metadata-token")
        if token not in self.tokens or token in self.revoked:
            return 401, b"", {}
        item = self.items.get(path.removeprefix("/latest/meta-data/"))
        return (404, b"", {}) if item is None else (200, json.dumps(item).encode(), {})


class FakeAzure(FakeMetadata):
    """Azure's: every request needs its header and a version of the API; the events of all machines of a set."""

    def __init__(self, name: str = "trainer_3") -> None:
        super().__init__()
        self.name = name
        self.events: list[dict[str, Any]] = []

    def schedule(self, event_type: str, *machines: str, seconds: float | None = None) -> None:
        """Add an event, so many seconds from now by this server's clock; None if it has started."""
        moment = None if seconds is None else formatdate(time.time() + self.skew + seconds, usegmt=True)
        self.events.append(
            {
                "EventId": f"event-{len(self.events)}",
                "EventStatus": "Started" if moment is None else "Scheduled",
                "EventType": event_type,
                "ResourceType": "VirtualMachine",
                "Resources": list(machines),
                "NotBefore": moment or "",
                "Description": "",
                "EventSource": "Platform",
            }
        )

    def item(self, method: str, path: str, headers: Any) -> Reply:
        parts = urlsplit(path)
        if headers.get("Metadata") != "true" or "api-version" not in parse_qs(parts.query):
            return 400, b"", {}
        if parts.path == "/metadata/instance/compute/name":
            return 200, self.name.encode(), {}
        if parts.path == "/metadata/scheduledevents":
            return 200, json.dumps({"DocumentIncarnation": 1, "Events": self.events}).encode(), {}
        return 404, b"", {}
