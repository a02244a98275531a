"""Requests and answers as the HTTP layer takes and gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import Message

    from typing_extensions import Buffer

__all__ = ["ANSWER_LIMIT", "TRANSIENT_STATUSES", "Request", "Response", "http_date", "retry_after"]

ANSWER_LIMIT = 64 << 20
"""Bytes of an answer that says something about objects; only objects themselves may be larger."""

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""What a server answers when the same request may succeed later."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send, and where the answer goes."""

    method: str
    url: str = field(repr=False)
    """Absolute and encoded. It may be a secret: that of an upload session is its own authorisation."""
    headers: Mapping[str, str] = field(repr=False)
    """Sent as they are, with Host, Content-Length and Accept-Encoding added."""
    subject: str
    """The object's URL, for messages."""
    body: Sequence[Buffer] = ()
    """C-contiguous buffers, sent one after the other."""
    into: Sequence[memoryview] = ()
    """Where the body of a 200 or 206 goes; what does not fit stays unread."""
    repeatable: bool = False
    """A second arrival does no harm: it may be sent again where a kept-alive connection turns out to be closed before
    a byte of the answer came."""
    limit: int | None = ANSWER_LIMIT
    """The most bytes of a body that is returned; None for an object's."""


@dataclass(frozen=True, slots=True)
class Response:
    """A server's answer."""

    status: int
    headers: Message
    body: bytes = b""
    """Empty where the body went into the caller's buffers."""
    filled: int = 0
    """Bytes that went into the caller's buffers."""


def retry_after(headers: Message) -> float | None:
    """The seconds that the server asked to wait; it may give them as such or as a date."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # none, or one without sense or time zone
        return None


def http_date(value: str) -> float:
    """The seconds since the epoch of a Date or Last-Modified header; 0.0 for one that is missing or damaged."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return 0.0
