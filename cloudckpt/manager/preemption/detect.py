"""The sources that fit the machine that this process runs on."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from cloudckpt.manager.preemption.aws import AwsSpot
from cloudckpt.manager.preemption.azure import AzureScheduledEvents
from cloudckpt.manager.preemption.gce import GceMetadata
from cloudckpt.manager.preemption.kubernetes import Kubernetes
from cloudckpt.manager.preemption.polled import PolledSource
from cloudckpt.manager.preemption.sigterm import Sigterm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudckpt.manager.preemption.notice import Notice, NoticeSource

__all__ = ["detect"]

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""A pod's network may come up after its process."""


def detect(grace: float = 30.0) -> list[NoticeSource]:
    """The sources of notices that fit this machine: SIGTERM, and the cloud's own warnings.

    It asks nothing itself and takes no time. Once started, a thread in the background looks which cloud's metadata
    server is there, for some seconds, and asks that from then on; on a machine of no cloud it ends. In another thread
    than the main one, where Python handles no signals, SIGTERM is left out.

    Args:
        grace: seconds from SIGTERM to the kill, as `Sigterm` and `Kubernetes` take it.
    """
    if threading.current_thread() is not threading.main_thread():
        logger.info("SIGTERM is not taken as a notice: that can be done in the main thread only")
        return [_Cloud()]
    is_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    return [Kubernetes(grace) if is_pod else Sigterm(grace), _Cloud()]


class _Cloud(PolledSource):
    """Whichever cloud this machine is one of."""

    def __init__(
        self, candidates: Sequence[GceMetadata | AwsSpot | AzureScheduledEvents] = (), pause: float = 5.0
    ) -> None:
        super().__init__(pause)
        self._candidates = candidates or (GceMetadata(), AwsSpot(), AzureScheduledEvents())
        self._found: GceMetadata | AwsSpot | AzureScheduledEvents | None = None

    def watch(self, report: Callable[[Notice], None], over: threading.Event) -> None:
        """Find the cloud, and pass on what it says."""
        for _ in range(ATTEMPTS):
            self._found = self._find(over)
            if self._found is not None:
                logger.info("notices are asked of %s", type(self._found).__name__)
                self._found.watch(report, over)
            if over.wait(self._interval):
                return
        logger.info("no cloud's metadata server is in reach: its notices will not be known")

    def poll(self) -> Notice | None:
        """As `PolledSource.poll`."""
        return None if self._found is None else self._found.poll()

    def interrupt(self) -> None:
        """As `PolledSource.interrupt`."""
        for candidate in self._candidates:
            candidate.interrupt()

    def _find(self, over: threading.Event) -> GceMetadata | AwsSpot | AzureScheduledEvents | None:
        for candidate in self._candidates:
            try:
                if not over.is_set() and candidate.is_here():
                    return candidate
            except Exception as error:  # noqa: BLE001 - as in `PolledSource.watch`
                logger.debug("%s is not here: %r", type(candidate).__name__, error)
        return None
