"""What fake-gcs-server gets wrong about upload sessions, put right by a proxy before it.

Asked for the state of a session (`Content-Range: bytes */N`) it takes the upload for finished, and bytes that it has
already it appends once more. Cloud Storage says what it has, and passes over what it has:
https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check .
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.network.flaky_proxy import encoded

if TYPE_CHECKING:
    from tests.network.flaky_proxy import Exchange

RANGE = re.compile(r"bytes (?:(?P<first>\d+)-(?P<last>\d+)|\*)/\d+")
SESSION = re.compile(r"PUT .*[?&]upload_id=(?P<id>\w+)")
EMPTY = encoded(308, "Resume Incomplete", [("Content-Length", "0")], b"")


class UploadSessions:
    """The sessions of one server: what each has, and the server's last word on it."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[int, bytes]] = {}

    def serve(self, exchange: Exchange) -> bytes:
        """The server's answer to a request; to one about what it has already, the answer that it gave to that."""
        session = SESSION.match(exchange.line)
        content = RANGE.fullmatch(exchange.headers.get("Content-Range", ""))
        if not session or not content:
            return exchange.ask_server()
        stored, said = self._states.get(session["id"], (0, EMPTY))
        if content["first"] is None or int(content["first"]) < stored:
            return said
        answer = exchange.ask_server()
        self._states[session["id"]] = int(content["last"]) + 1, answer
        return answer
