"""Kubernetes: SIGTERM to the container's first process, and a file that a preStop hook makes.

Source: kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle, "Pod termination".
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from cloudckpt.manager.preemption.notice import Notice
from cloudckpt.manager.preemption.polled import PolledSource
from cloudckpt.manager.preemption.sigterm import Sigterm

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Kubernetes"]


class Kubernetes:
    """Notices of a pod that is deleted, evicted, or on a node that is drained or preempted.

    SIGTERM goes to the container's first process alone: a shell there passes it on only if it was replaced by the job
    (`exec python train.py`). Where that can't be had, let a preStop hook make a file, and name it.

    Args:
        grace: the pod's `terminationGracePeriodSeconds`; the time of the preStop hook is part of it. On GKE a
            preempted node gives pods 15 s.
        file: the path of the file, such as "/tmp/preempted" with the hook `touch /tmp/preempted`; it is looked for
            once a second.
    """

    def __init__(self, grace: float = 30.0, *, file: str | os.PathLike[str] | None = None) -> None:
        self._signal = Sigterm(grace)
        self._hook = None if file is None else _HookFile(os.fspath(file), grace)

    def start(self, report: Callable[[Notice], None], /) -> None:
        """Handle SIGTERM, and look for the file.

        Raises:
            ValueError: this is not the main thread; or it was started already.
        """
        self._signal.start(report)
        if self._hook is not None:
            self._hook.start(report)

    def stop(self) -> None:
        """As `NoticeSource.stop`."""
        if self._hook is not None:
            self._hook.stop()
        self._signal.stop()


class _HookFile(PolledSource):
    """A file that says by its being there that the grace period has begun, and by its time when."""

    def __init__(self, path: str, grace: float) -> None:
        super().__init__(interval=1.0)
        self._path = path
        self._grace = grace

    def poll(self) -> Notice | None:
        """As `PolledSource.poll`. One `stat`."""
        try:
            made = os.stat(self._path).st_mtime
        except FileNotFoundError:
            return None
        age = max(0.0, time.time() - made)
        if age > self._grace:
            return None  # it is of a container of this pod that was killed before
        now = time.monotonic()
        return Notice(f"the preStop hook has made {self._path}", now, now + self._grace - age)
