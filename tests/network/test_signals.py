"""kill -9 and Ctrl-C at each request of a job, in a real process, against MinIO."""

from __future__ import annotations

import itertools
import signal
from typing import TYPE_CHECKING

import pytest

from tests.network.flaky_proxy import passed_on
from tests.network.http_faults import dropped, half_sent, lost_answer
from tests.network.processes import INTERRUPTED, run_and_signal
from tests.network.runs import CASES, check

if TYPE_CHECKING:
    from tests.network.conftest import Flaky
    from tests.network.flaky_proxy import Fate

MOMENTS = {"before": dropped, "during": half_sent, "after": lost_answer}
"""Whether the request reaches the server."""


def kill_at_every_request(flaky: Flaky, name: str, moment: Fate, *, step: int = 1) -> int:
    """Whatever was there before is there, or the new; returns the number of the first request that never came."""
    for at in itertools.count(1, step):
        place = flaky.place()
        CASES[name].prepare(place)
        ended = run_and_signal(flaky, place, name, lambda number, _, at=at: number == at, moment, signal.SIGKILL)
        assert ended in {0, -signal.SIGKILL}, flaky.proxy.seen
        check(place, CASES[name].acceptable if ended else {CASES[name].done})
        if not ended:
            return at
    raise AssertionError("there is always a last request")


def test_killed_at_some_requests(flaky_minio: Flaky) -> None:
    """A sample: every fifth."""
    assert kill_at_every_request(flaky_minio, "retention", lost_answer, step=5) > 10


@pytest.mark.faults
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", CASES)
def test_killed_at_every_request(flaky_minio: Flaky, name: str, moment: str) -> None:
    assert kill_at_every_request(flaky_minio, name, MOMENTS[moment]) > 3


@pytest.mark.parametrize("fate", [passed_on, dropped], ids=["answered", "not answered"])
@pytest.mark.parametrize("request_line", ["partNumber=1", "partNumber=2"])
@pytest.mark.parametrize("name", ["first save", "overwrite"])
def test_ctrl_c_leaves_nothing(flaky_minio: Flaky, name: str, request_line: str, fate: Fate) -> None:
    """In the middle of a multipart upload: the upload is aborted, and what was there is all that is there."""
    place = flaky_minio.place()
    CASES[name].prepare(place)
    before = place.keys()
    ended = run_and_signal(flaky_minio, place, name, lambda _, line: request_line in line, fate, signal.SIGINT)
    assert ended == INTERRUPTED
    assert place.keys() == before
    assert place.unfinished() == []
    check(place, CASES[name].acceptable - {CASES[name].done})


def test_ctrl_c_where_an_upload_begins_leaves_it_to_the_collector(flaky_minio: Flaky) -> None:
    """The upload's id may not have arrived, and then only the collector can free it."""
    place = flaky_minio.place()
    ended = run_and_signal(
        flaky_minio, place, "first save", lambda _, line: "?uploads" in line, lost_answer, signal.SIGINT
    )
    assert ended == INTERRUPTED
    assert place.keys() == set()
    check(place, {None})
