"""Servers that are killed in the middle of a save or a restore, and started again on the same data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cloudckpt.errors import StorageError
from tests.network.conftest import Behind
from tests.network.flaky_proxy import flaky_proxy
from tests.network.http_faults import dropped, first, half_sent, lost_answer
from tests.network.runs import CASES, check
from tests.servers import fake_gcs_process, make_gcs_bucket, make_s3_bucket, minio_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.network.conftest import Flaky
    from tests.network.flaky_proxy import Exchange, Fate
    from tests.servers import ServerProcess

MOMENTS = {"before": dropped, "during": half_sent, "after": lost_answer}
REQUESTS = {
    "first part": ("overwrite", r"PUT .*[?&]partNumber=1&"),
    "complete": ("overwrite", r"POST .*[?]uploadId="),
    "index": ("overwrite", r"PUT .*[.]index$"),
    "state": ("retention", r"PUT .*/checkpoint$"),
    "delete": ("retention", r"(DELETE|POST) .*([.]index$|[?]delete)"),
    "read": ("restore", r"GET .*[.]data-"),
    "look": ("recovery", r"GET .*/checkpoint$"),
}
"""The requests at which the server is killed, and the cases that have them."""

SAMPLE = {("first part", "during"), ("index", "after"), ("read", "before")}
EVERY = [
    pytest.param(at, moment, marks=() if (at, moment) in SAMPLE else pytest.mark.faults)
    for at in REQUESTS
    for moment in MOMENTS
]


@pytest.fixture(scope="module")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A MinIO that tests may kill, and start again."""
    with minio_process(tmp_path_factory.mktemp("minio-to-kill")) as process:
        yield process


@pytest.fixture(scope="module")
def killable(minio_server: ServerProcess) -> Iterator[Flaky]:
    """A bucket of that server, behind a proxy at which requests can be told apart."""
    with flaky_proxy(minio_server.endpoint) as proxy:
        yield Behind(make_s3_bucket("minio", minio_server.endpoint), proxy)


def then(fate: Fate, *actions: Callable[[], None]) -> Fate:
    """Something else happens to the servers right after the request."""

    def fate_and_actions(exchange: Exchange) -> None:
        fate(exchange)
        for action in actions:
            action()

    return fate_and_actions


@pytest.mark.parametrize(("at", "moment"), EVERY)
def test_a_server_that_comes_back_is_no_failure(
    killable: Flaky, minio_server: ServerProcess, at: str, moment: str
) -> None:
    name, wanted = REQUESTS[at]
    place = killable.place(seconds=30)
    CASES[name].prepare(place)
    killable.proxy.plan(first(wanted, then(MOMENTS[moment], minio_server.kill, minio_server.start)))
    restored = CASES[name].work(place.url, place.options)
    assert any(re.match(wanted, line) for line in killable.proxy.seen)
    killable.proxy.heal()
    assert restored in {None, CASES[name].done}
    check(place, {CASES[name].done})


@pytest.mark.parametrize("at", [pytest.param(at, marks=() if at == "index" else pytest.mark.faults) for at in REQUESTS])
def test_a_server_that_stays_away_is_an_error(killable: Flaky, minio_server: ServerProcess, at: str) -> None:
    name, wanted = REQUESTS[at]
    place = killable.place(seconds=0.3)
    CASES[name].prepare(place)
    killable.proxy.plan(first(wanted, then(lost_answer, minio_server.kill)))
    try:
        error = CASES[name].failure(place)
    finally:
        minio_server.start()
    killable.proxy.heal()
    # A deletion after the commit is none of the save's business: the next one does it.
    assert (error is None) == (at == "delete")
    assert error is None or re.search(r"gave up: .* failed \d+ times", str(error))
    check(place, {CASES[name].done} if error is None else CASES[name].acceptable)


def test_an_upload_session_that_the_server_forgot_is_an_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    """fake-gcs-server keeps sessions in memory; Cloud Storage forgets them after a week."""
    with (
        flaky_proxy() as proxy,
        fake_gcs_process(tmp_path_factory.mktemp("gcs-to-kill"), proxy.url, on_disk=True) as process,
    ):
        proxy.upstream = process.endpoint
        gcs: Flaky = Behind(make_gcs_bucket("fake-gcs-server", process.endpoint), proxy)
        place = gcs.place()
        CASES["overwrite"].prepare(place)
        proxy.plan(first(r"PUT .*[?&]upload_id=", then(dropped, process.kill, process.start)))
        error = CASES["overwrite"].failure(place)
        assert isinstance(error, StorageError)
        assert "the upload is gone" in str(error)
        proxy.heal()
        check(place, {1})
