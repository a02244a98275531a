"""Google Compute Engine: the metadata server says when a Spot machine is preempted, or its host maintained.

Source: cloud.google.com/compute/docs/instances/create-use-preemptible and .../metadata/getting-live-migration-notice.
"""

from __future__ import annotations

import os
import time
from urllib.parse import quote

from cloudckpt.manager.preemption.metadata import LINK_LOCAL, TIMEOUT, Answer, MetadataServer
from cloudckpt.manager.preemption.notice import LEAD, Notice
from cloudckpt.manager.preemption.polled import PolledSource

__all__ = ["GceMetadata"]

GRACE = 30.0
"""Seconds from the notice of a preemption to the end of the machine."""
WAIT = 5
"""Seconds that a question waits at the server for a change. They are whole ones in the protocol."""
HEADERS = {"Metadata-Flavor": "Google"}


class GceMetadata(PolledSource):
    """Notices of Google Compute Engine, GKE's nodes and TPU machines included.

    A preemption (`instance/preempted`) is known at once, since the question waits at the server for it, and leaves
    30 s. Maintenance of the host that stops the machine (`instance/maintenance-event`) is known within 5 s; one that
    only moves it while it runs asks for a save.

    Where GKE's own metadata server hides both, it says so in the log once: `Kubernetes` is the source there.

    Args:
        maintenance: seconds from the notice of a maintenance to the end of the machine. Google gives 60, and an hour
            to machines with GPUs: the job goes on until two minutes before it is over.
        endpoint: the server, "http://host:port"; by default the variable GCE_METADATA_HOST, or 169.254.169.254.
        interval: seconds between two questions.
    """

    def __init__(self, *, maintenance: float = 60.0, endpoint: str | None = None, interval: float = 1.0) -> None:
        super().__init__(interval)
        self._server = MetadataServer(endpoint or os.environ.get("GCE_METADATA_HOST") or LINK_LOCAL)
        self._maintenance = maintenance
        self._maintenance_seen: float | None = None
        self._version = ""
        """the ETag of `preempted` as it was last seen; without one a question would wait for the next change, and
        miss one that has been"""

    def is_here(self) -> bool:
        """Whether this machine is one of Google's."""
        return self._server.ask("/", HEADERS).headers.get("Metadata-Flavor") == "Google"

    def poll(self) -> Notice | None:
        """As `PolledSource.poll`. Two GETs, of which one waits up to 5 s for a change."""
        if self._preempted() == "TRUE":
            now = time.monotonic()
            return Notice("GCE preempts this machine", now, now + GRACE)
        match self._value("maintenance-event").text():
            case "TERMINATE_ON_HOST_MAINTENANCE":
                return self._maintained()
            case "MIGRATE_ON_HOST_MAINTENANCE":
                return Notice("GCE moves this machine to another host", time.monotonic(), stop=False)
        self._maintenance_seen = None
        return None

    def interrupt(self) -> None:
        """As `PolledSource.interrupt`."""
        self._server.cut()

    def _preempted(self) -> str:
        wait = f"?wait_for_change=true&timeout_sec={WAIT}&last_etag={quote(self._version)}" if self._version else ""
        answer = self._value(f"preempted{wait}", timeout=TIMEOUT + (WAIT if wait else 0))
        self._version = answer.headers.get("ETag", "")
        return answer.text()

    def _maintained(self) -> Notice:
        now = time.monotonic()
        self._maintenance_seen = now if self._maintenance_seen is None else self._maintenance_seen
        deadline = self._maintenance_seen + self._maintenance
        return Notice("GCE stops this machine to maintain its host", now, deadline, stop=deadline - now <= LEAD)

    def _value(self, key: str, timeout: float = TIMEOUT) -> Answer:
        answer = self._server.ask(f"/computeMetadata/v1/instance/{key}", HEADERS, timeout=timeout)
        if answer.status != 200 or answer.headers.get("Metadata-Flavor") != "Google":
            raise ConnectionError(
                f"{self._server.endpoint} answered {answer.status} to instance/{key.partition('?')[0]}, or is not "
                "Google's; GKE's metadata server does not pass it on: use preemption.Kubernetes there"
            )
        return answer
