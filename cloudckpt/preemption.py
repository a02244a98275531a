"""Notices that this machine is about to be taken away, for `CheckpointManager(preemption=[...])` and `run`."""

from cloudckpt.manager.preemption.aws import AwsSpot
from cloudckpt.manager.preemption.azure import AzureScheduledEvents
from cloudckpt.manager.preemption.detect import detect
from cloudckpt.manager.preemption.gce import GceMetadata
from cloudckpt.manager.preemption.kubernetes import Kubernetes
from cloudckpt.manager.preemption.notice import Notice, NoticeSource
from cloudckpt.manager.preemption.polled import PolledSource
from cloudckpt.manager.preemption.sigterm import Sigterm

__all__ = [
    "AwsSpot",
    "AzureScheduledEvents",
    "GceMetadata",
    "Kubernetes",
    "Notice",
    "NoticeSource",
    "PolledSource",
    "Sigterm",
    "detect",
]
