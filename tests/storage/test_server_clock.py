"""The time of a server, from its answers."""

from __future__ import annotations

from email.message import Message

import pytest

from cloudckpt.storage.http.client import Response
from cloudckpt.storage.server_clock import ServerClock


def answer(status: int, date: str | None) -> Response:
    headers = Message()
    if date is not None:
        headers["Date"] = date
    return Response(status, headers)


def test_the_latest_answer_counts() -> None:
    clock = ServerClock()
    assert clock.latest == 0.0
    clock.heard(answer(200, "Sun, 15 Jun 2025 12:00:00 GMT"))
    assert clock.latest == 1749988800.0
    clock.heard(answer(404, "Sun, 15 Jun 2025 12:00:07 GMT"))
    assert clock.latest == 1749988807.0


@pytest.mark.parametrize(
    ("status", "date"),
    [(503, "Sun, 15 Jun 2025 18:00:00 GMT"), (429, "Sun, 15 Jun 2025 18:00:00 GMT"), (200, None), (200, "yesterday")],
)
def test_what_says_nothing(status: int, date: str | None) -> None:
    """A gateway's page bears the gateway's time."""
    clock = ServerClock()
    clock.heard(answer(200, "Sun, 15 Jun 2025 12:00:00 GMT"))
    clock.heard(answer(status, date))
    assert clock.latest == 1749988800.0
