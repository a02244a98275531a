"""A user's time limit, on servers that fall silent: without it, the defaults would wait for minutes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import CommitUnknownError, StorageTimeoutError
from tests.network.http_faults import dropped, first, silence
from tests.network.runs import CASES, PART, check

if TYPE_CHECKING:
    from tests.network.conftest import Flaky
    from tests.network.flaky_proxy import Fate
    from tests.network.runs import Case

REQUESTS = {
    "look": ("recovery", r"GET .*(/|%2F)checkpoint"),
    "list": ("retention", r"GET .*prefix="),
    "read": ("restore", r"GET .*[.]data-"),
    "index": ("overwrite", r"(PUT|POST) .*[.]index$|POST /upload/.*uploadType=multipart"),
    "state": ("first save", r"(PUT|POST) .*/checkpoint$|POST /upload/.*uploadType=multipart"),
}
"""The requests from which on the server does not answer, and the cases that have them."""


SAMPLE = {"list", "read", "index"}
SECONDS = 0.7


@pytest.mark.timeout(45)
@pytest.mark.parametrize("at", [pytest.param(at, marks=() if at in SAMPLE else pytest.mark.faults) for at in REQUESTS])
def test_work_on_a_silent_server_ends_in_time(flaky: Flaky, at: str) -> None:
    name, wanted = REQUESTS[at]
    ends_in_time(flaky, CASES[name], wanted, silence)


@pytest.mark.timeout(45)
def test_work_on_a_broken_network_ends_in_time(flaky: Flaky) -> None:
    name, wanted = REQUESTS["list"]
    ends_in_time(flaky, CASES[name], wanted, dropped)


def ends_in_time(flaky: Flaky, case: Case, wanted: str, fate: Fate) -> None:
    """With the timeouts and retries that clients have by default, so that only the user's limit can end it."""
    through = flaky.server.through(flaky.proxy.url, part_size=PART)
    place = replace(flaky.place(), options=through.storage_options)
    case.prepare(place)
    flaky.proxy.plan(first(wanted, fate, forever=True))
    error = case.failure(place, timeout=SECONDS)
    flaky.proxy.heal()
    assert isinstance(error, StorageTimeoutError | CommitUnknownError)
    assert re.search(rf"time limit of {SECONDS} s is over.*(after|failed) \d+ (attempts|times)", str(error))
    check(place, case.acceptable)
