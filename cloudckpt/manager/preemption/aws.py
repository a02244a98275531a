"""Amazon EC2: the instance metadata service says when a Spot instance is interrupted, or is at risk of it.

Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide: spot-instance-termination-notices, rebalance-recommendations,
instance-metadata-v2-how-it-works.
"""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from typing import Any

from cloudckpt.manager.preemption.metadata import LINK_LOCAL, Answer, MetadataServer
from cloudckpt.manager.preemption.notice import Notice
from cloudckpt.manager.preemption.polled import PolledSource

__all__ = ["AwsSpot"]

GRACE = 120.0
"""Seconds from the notice of an interruption to its time, at most."""
TOKEN_SECONDS = 21600
"""What a token is asked to live, the longest that there is."""
ACTION = "spot/instance-action"
REBALANCE = "events/recommendations/rebalance"


class AwsSpot(PolledSource):
    """Notices of Spot instances on Amazon EC2, by version 2 of its metadata service.

    An interruption (`spot/instance-action`) comes two minutes before its time; `hibernate` keeps the memory, and asks
    for a save only. A rebalance recommendation says that the risk is higher than before: it asks for a save.

    In a container the service may be out of reach: the instance's hop limit must be 2 or more.

    Args:
        endpoint: the service, "http://host:port"; by default the variable AWS_EC2_METADATA_SERVICE_ENDPOINT, or
            169.254.169.254.
        interval: seconds between two questions; AWS recommends 5.
    """

    def __init__(self, *, endpoint: str | None = None, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._server = MetadataServer(endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or LINK_LOCAL)
        self._token = ""

    def is_here(self) -> bool:
        """Whether this machine is one of Amazon's."""
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return False
        return _is_token(self._ask_for_token())

    def poll(self) -> Notice | None:
        """As `PolledSource.poll`. Two GETs, and a PUT for a token every six hours."""
        return self._interrupted() or self._at_risk()

    def interrupt(self) -> None:
        """As `PolledSource.interrupt`."""
        self._server.cut()

    def _interrupted(self) -> Notice | None:
        found = self._item(ACTION)
        if found is None:
            return None
        answer, item = found
        action, moment = str(item["action"]), str(item["time"])
        now = time.monotonic()
        # More than two minutes come from a clock that is wrong.
        deadline = now + min(GRACE, answer.until(datetime.fromisoformat(moment)))
        return Notice(f"AWS is to {action} this instance at {moment}", now, deadline, stop=action != "hibernate")

    def _at_risk(self) -> Notice | None:
        found = self._item(REBALANCE)
        if found is None:
            return None
        moment = found[1]["noticeTime"]
        return Notice(f"AWS recommended to leave this instance at {moment}", time.monotonic(), stop=False)

    def _item(self, path: str) -> tuple[Answer, dict[str, Any]] | None:
        """An item of JSON, which is there only when there is something to say."""
        answer = self._get(path)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise ConnectionError(f"{self._server.endpoint} answered {answer.status} to {path}")
        item = json.loads(answer.body)
        if not isinstance(item, dict):
            raise TypeError(f"{self._server.endpoint} has no JSON object at {path}: {answer.text()!r}")
        return answer, item

    def _get(self, path: str) -> Answer:
        """GET an item; with a new token if the old one is no longer taken."""
        if not self._token:
            self._renew_token()
        answer = self._ask(path)
        if answer.status == 401:
            self._renew_token()
            answer = self._ask(path)
        return answer

    def _ask(self, path: str) -> Answer:
        return self._server.ask(f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": self._token})

    def _renew_token(self) -> None:
        answer = self._ask_for_token()
        if not _is_token(answer):
            raise ConnectionError(f"{self._server.endpoint} answered {answer.status} and no token when asked for one")
        self._token = answer.text()

    def _ask_for_token(self) -> Answer:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS), "Content-Length": "0"}
        return self._server.ask("/latest/api/token", headers, method="PUT")


def _is_token(answer: Answer) -> bool:
    """Whether it can go into a header; a page that says who to ask for access can't."""
    text = answer.text()
    return answer.status == 200 and bool(text) and text.isascii() and text.isprintable() and "<" not in text
