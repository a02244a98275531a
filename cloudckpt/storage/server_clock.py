"""The clock of the server that a bucket's answers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.storage.http.client import TRANSIENT_STATUSES, http_date

if TYPE_CHECKING:
    from cloudckpt.storage.http.client import Response


class ServerClock:
    """The time by the Date header of the latest answer, in whole seconds as that header has it.

    An answer that something failed on the way says nothing: a gateway's error page bears the gateway's time.
    """

    def __init__(self) -> None:
        self.latest = 0.0
        """seconds since the epoch; 0.0 before the first answer"""

    def heard(self, answer: Response) -> None:
        """Take the time of an answer; one without a date that can be read says nothing."""
        if answer.status not in TRANSIENT_STATUSES:
            self.latest = http_date(answer.headers.get("Date", "")) or self.latest
