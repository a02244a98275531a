"""Toxiproxy: TCP proxies on whose connections "toxics" lie. https://github.com/Shopify/toxiproxy#http-api"""

from __future__ import annotations

import json
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Toxic:
    """What happens to the bytes of connections.

    Attributes:
        kind: such as "latency".
        attributes: of that kind, such as {"latency": 50} (milliseconds).
        stream: "upstream" for what the client sends, "downstream" for what it gets.
    """

    kind: str
    attributes: dict[str, int]
    stream: str = "downstream"


class ToxicProxy:
    """A proxy before one server, made and changed through toxiproxy's API.

    Args:
        control: the URL of the API.
        upstream: the server's URL.
        port: where the proxy listens, on this machine; by default, wherever is room.
    """

    def __init__(self, control: str, upstream: str, port: int = 0) -> None:
        self._control = control
        self._name = uuid.uuid4().hex
        made = self._post(
            "/proxies",
            {"name": self._name, "listen": f"127.0.0.1:{port}", "upstream": urlsplit(upstream).netloc, "enabled": True},
        )
        self.url = f"http://{made['listen']}"

    def poison(self, *toxics: Toxic) -> None:
        """Lay these on the connections that there are, and on all to come."""
        for toxic in toxics:
            body = {"type": toxic.kind, "stream": toxic.stream, "attributes": toxic.attributes}
            self._post(f"/proxies/{self._name}/toxics", {"name": f"{toxic.kind}-{toxic.stream}", **body})

    def take_down(self) -> None:
        """End all connections, and refuse new ones."""
        self._post(f"/proxies/{self._name}", {"enabled": False})

    def heal(self) -> None:
        """Be up, without toxics."""
        self._post("/reset", {})

    @contextmanager
    def poisoned(self, *toxics: Toxic) -> Iterator[None]:
        """Toxics for the block; without any, the proxy is down."""
        try:
            self.poison(*toxics)
            if not toxics:
                self.take_down()
            yield
        finally:
            self.heal()

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self._control + path, json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found
