"""Azure: the metadata service lists what is scheduled for a machine, and for others beside it.

Source: learn.microsoft.com/azure/virtual-machines/linux/scheduled-events.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from cloudckpt.manager.preemption.metadata import LINK_LOCAL, TIMEOUT, Answer, MetadataServer
from cloudckpt.manager.preemption.notice import LEAD, Notice
from cloudckpt.manager.preemption.polled import PolledSource

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AzureScheduledEvents"]

EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
NAME = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
HEADERS = {"Metadata": "true"}
FIRST_TIMEOUT = 150.0
"""Seconds for the first answer: it turns the events on, which takes up to two minutes."""
ENDING = {"Preempt", "Terminate", "Reboot", "Redeploy"}
"""The events that end a process; `Freeze` stops the machine for some seconds, and it goes on."""


class AzureScheduledEvents(PolledSource):
    """Notices of Azure's virtual machines and scale sets: eviction, termination, reboot, redeployment.

    An eviction (`Preempt`) comes 30 s ahead, others minutes or even days, and may be taken back: one that is more than
    two minutes away asks for a save only. Events of other machines of the same set, which everybody is told, count
    for nothing. No event is acknowledged: that might end other machines sooner.

    Args:
        endpoint: the service, "http://host:port"; by default 169.254.169.254.
        interval: seconds between two questions; Azure recommends 1.
    """

    def __init__(self, *, endpoint: str | None = None, interval: float = 1.0) -> None:
        super().__init__(interval)
        self._server = MetadataServer(endpoint or LINK_LOCAL)
        self._name = ""
        self._timeout = FIRST_TIMEOUT

    def is_here(self) -> bool:
        """Whether this machine is one of Azure's."""
        answer = self._server.ask(NAME, HEADERS)
        return answer.status == 200 and bool(answer.text())

    def poll(self) -> Notice | None:
        """As `PolledSource.poll`. One GET, and before the first another for the machine's name."""
        if not self._name:
            self._name = self._get(NAME, TIMEOUT).text()
        answer = self._get(EVENTS, self._timeout)
        self._timeout = TIMEOUT
        notices = [self._notice(event, answer) for event in self._events_of_this_machine(answer)]
        # The soonest; one without a time has started.
        return min(notices, key=lambda notice: notice.deadline or 0.0, default=None)

    def interrupt(self) -> None:
        """As `PolledSource.interrupt`."""
        self._server.cut()

    def _events_of_this_machine(self, answer: Answer) -> Iterator[dict[str, Any]]:
        document = json.loads(answer.body)
        for event in document["Events"]:
            if event["EventType"] in ENDING and self._name in event["Resources"]:
                yield event

    def _notice(self, event: dict[str, Any], answer: Answer) -> Notice:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - as in MetadataServer

        now, deadline = time.monotonic(), None
        # It has no time once it has started.
        if event.get("NotBefore"):
            deadline = now + answer.until(parsedate_to_datetime(event["NotBefore"]))
        reason = f"Azure has scheduled {event['EventType']} of {self._name} (event {event['EventId']})"
        return Notice(reason, now, deadline, stop=deadline is None or deadline - now <= LEAD)

    def _get(self, path: str, timeout: float) -> Answer:
        answer = self._server.ask(path, HEADERS, timeout=timeout)
        if answer.status != 200:
            raise ConnectionError(f"{self._server.endpoint} answered {answer.status} to {path}")
        return answer
