"""The notices of three clouds, by fakes of their metadata servers."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.manager.preemption.detect import _Cloud
from cloudckpt.preemption import AwsSpot, AzureScheduledEvents, GceMetadata
from tests.manager.preemption.inbox import PATIENCE, Inbox, started
from tests.manager.preemption.metadata_servers import FakeAws, FakeAzure, FakeGce, FakeMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = 0.01


@pytest.fixture(autouse=True)
def a_proxy_that_is_not_there_and_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metadata server is never asked over a proxy: one would answer for the machine that it runs on."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "GCE_METADATA_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gce() -> Iterator[FakeGce]:
    with FakeGce() as server:
        yield server


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with FakeAws() as server:
        yield server


@pytest.fixture
def azure() -> Iterator[FakeAzure]:
    with FakeAzure() as server:
        yield server


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def stamp(seconds: float) -> str:
    """A moment so many seconds from now, as AWS writes it."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# Google


def test_a_machine_of_gce_that_is_not_preempted_gets_no_notice(gce: FakeGce) -> None:
    assert GceMetadata(endpoint=gce.endpoint).poll() is None


def test_gce_gives_thirty_seconds(gce: FakeGce) -> None:
    gce.set("preempted", "TRUE")
    notice = GceMetadata(endpoint=gce.endpoint).poll()
    assert notice is not None
    assert notice.stop
    assert notice.deadline == pytest.approx(notice.received + 30.0)


def test_the_question_waits_at_gces_server_for_the_preemption(gce: FakeGce) -> None:
    with started(GceMetadata(endpoint=gce.endpoint, interval=SOON)) as inbox:
        wait_until(lambda: any("wait_for_change=true" in request for request in gce.seen))
        gce.set("preempted", "TRUE")
        assert inbox.next().reason == "GCE preempts this machine"


def test_a_preemption_between_two_questions_is_not_missed(gce: FakeGce) -> None:
    source = GceMetadata(endpoint=gce.endpoint)
    assert source.poll() is None
    gce.set("preempted", "TRUE")
    notice = source.poll()
    assert notice is not None
    assert "last_etag=" in gce.seen[-1]


def test_maintenance_that_stops_a_machine_of_gce_is_a_minute_away(gce: FakeGce) -> None:
    gce.set("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")
    notice = GceMetadata(endpoint=gce.endpoint).poll()
    assert notice is not None
    assert notice.stop
    assert notice.deadline == pytest.approx(notice.received + 60.0)


def test_maintenance_an_hour_ahead_asks_for_a_save_first(gce: FakeGce, monkeypatch: pytest.MonkeyPatch) -> None:
    gce.set("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")
    monkeypatch.setattr("cloudckpt.manager.preemption.gce.WAIT", 0)
    source = GceMetadata(endpoint=gce.endpoint, maintenance=3600)
    early = source.poll()
    assert early is not None
    assert not early.stop
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3500)
    late = source.poll()
    assert late is not None
    assert late.stop
    assert late.deadline == early.deadline


def test_a_machine_of_gce_that_is_only_moved_is_asked_for_a_save(gce: FakeGce) -> None:
    gce.set("maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE")
    notice = GceMetadata(endpoint=gce.endpoint).poll()
    assert notice is not None
    assert not notice.stop


def test_a_server_that_is_not_googles_is_an_error(aws: FakeAws) -> None:
    with pytest.raises(ConnectionError, match=r"401 to instance/preempted.*preemption\.Kubernetes"):
        GceMetadata(endpoint=aws.endpoint).poll()


def test_gces_server_may_be_elsewhere(gce: FakeGce, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", gce.endpoint.removeprefix("http://"))
    assert GceMetadata().is_here()


# Amazon


def test_an_instance_of_aws_that_is_not_interrupted_gets_no_notice(aws: FakeAws) -> None:
    assert AwsSpot(endpoint=aws.endpoint).poll() is None
    assert aws.seen == [
        "PUT /latest/api/token",
        "GET /latest/meta-data/spot/instance-action",
        "GET /latest/meta-data/events/recommendations/rebalance",
    ]


@pytest.mark.parametrize("action", ["terminate", "stop"])
def test_aws_says_when_it_interrupts(aws: FakeAws, action: str) -> None:
    aws.items["spot/instance-action"] = {"action": action, "time": stamp(100)}
    notice = AwsSpot(endpoint=aws.endpoint).poll()
    assert notice is not None
    assert notice.stop
    assert notice.deadline == pytest.approx(notice.received + 100, abs=2.5)


def test_the_server_s_own_clock_counts(aws: FakeAws) -> None:
    aws.skew = 3600.0
    aws.items["spot/instance-action"] = {"action": "terminate", "time": stamp(aws.skew + 90)}
    notice = AwsSpot(endpoint=aws.endpoint).poll()
    assert notice is not None
    assert notice.deadline == pytest.approx(notice.received + 90, abs=2.5)


def test_no_instance_has_more_than_two_minutes(aws: FakeAws) -> None:
    aws.items["spot/instance-action"] = {"action": "terminate", "time": stamp(9999)}
    notice = AwsSpot(endpoint=aws.endpoint).poll()
    assert notice is not None
    assert notice.deadline == pytest.approx(notice.received + 120)


def test_hibernation_keeps_the_memory(aws: FakeAws) -> None:
    aws.items["spot/instance-action"] = {"action": "hibernate", "time": stamp(0)}
    notice = AwsSpot(endpoint=aws.endpoint).poll()
    assert notice is not None
    assert not notice.stop


def test_a_rebalance_recommendation_asks_for_a_save_and_an_interruption_follows(aws: FakeAws) -> None:
    aws.items["events/recommendations/rebalance"] = {"noticeTime": stamp(-1)}
    with started(AwsSpot(endpoint=aws.endpoint, interval=SOON)) as inbox:
        assert not inbox.next().stop
        aws.items["spot/instance-action"] = {"action": "terminate", "time": stamp(60)}
        assert inbox.next().stop
        seen = len(aws.seen)
        wait_until(lambda: len(aws.seen) > seen + 3)
        assert inbox.is_empty()  # what stands is said once


def test_a_token_that_has_expired_is_renewed(aws: FakeAws) -> None:
    source = AwsSpot(endpoint=aws.endpoint)
    assert source.poll() is None
    aws.revoked.update(aws.tokens)
    aws.items["spot/instance-action"] = {"action": "terminate", "time": stamp(60)}
    assert source.poll() is not None
    assert len(aws.tokens) == 2


@pytest.mark.parametrize("page", [b"<html>who are you?</html>", b"a\nb", b"", "schl\u00fcssel".encode()])
def test_what_is_no_token_is_asked_for_again(aws: FakeAws, monkeypatch: pytest.MonkeyPatch, page: bytes) -> None:
    source = AwsSpot(endpoint=aws.endpoint)
    with monkeypatch.context() as patch:
        patch.setattr(aws, "item", lambda *_: (200, page, {}))
        assert not source.is_here()
        with pytest.raises(ConnectionError, match="no token"):
            source.poll()
    assert source.poll() is None


@pytest.mark.parametrize("failures", [[403], [200, 500], [200, 401, 200, 401]])
def test_an_instance_whose_service_refuses_is_an_error(aws: FakeAws, failures: list[int]) -> None:
    aws.failures = failures
    with pytest.raises(ConnectionError, match="answered"):
        AwsSpot(endpoint=aws.endpoint).poll()


@pytest.mark.parametrize("item", [["a", "list"], {"action": "terminate"}, {"action": "terminate", "time": "soon"}])
def test_what_aws_does_not_say_in_its_form_is_an_error(aws: FakeAws, item: Any) -> None:
    aws.items["spot/instance-action"] = item
    with pytest.raises((TypeError, KeyError, ValueError)):
        AwsSpot(endpoint=aws.endpoint).poll()


def test_the_metadata_service_can_be_turned_off(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.endpoint)
    assert AwsSpot().is_here()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert not AwsSpot().is_here()


# Azure


def test_a_machine_of_azure_without_events_gets_no_notice(azure: FakeAzure) -> None:
    source = AzureScheduledEvents(endpoint=azure.endpoint)
    assert source.poll() is None
    assert source.poll() is None
    assert [request.partition("?")[0] for request in azure.seen] == [
        "GET /metadata/instance/compute/name",
        "GET /metadata/scheduledevents",
        "GET /metadata/scheduledevents",
    ]


@pytest.mark.parametrize("skew", [0.0, -7200.0])
def test_azure_says_when_it_evicts(azure: FakeAzure, skew: float) -> None:
    azure.skew = skew
    azure.schedule("Preempt", "trainer_2", "trainer_3", seconds=30)
    notice = AzureScheduledEvents(endpoint=azure.endpoint).poll()
    assert notice is not None
    assert notice.stop
    assert notice.deadline == pytest.approx(notice.received + 30, abs=2.5)


def test_events_of_other_machines_and_pauses_are_no_notices(azure: FakeAzure) -> None:
    azure.schedule("Preempt", "trainer_2", seconds=30)
    azure.schedule("Freeze", "trainer_3", seconds=900)
    assert AzureScheduledEvents(endpoint=azure.endpoint).poll() is None


@pytest.mark.parametrize("event_type", ["Reboot", "Redeploy", "Terminate"])
def test_an_event_that_is_far_away_asks_for_a_save(azure: FakeAzure, event_type: str) -> None:
    azure.schedule(event_type, azure.name, seconds=900)
    notice = AzureScheduledEvents(endpoint=azure.endpoint).poll()
    assert notice is not None
    assert not notice.stop


def test_the_soonest_event_counts(azure: FakeAzure) -> None:
    azure.schedule("Redeploy", azure.name, seconds=86400)
    azure.schedule("Terminate", azure.name, seconds=60)
    notice = AzureScheduledEvents(endpoint=azure.endpoint).poll()
    assert notice is not None
    assert "Terminate" in notice.reason


def test_an_event_that_has_started_has_no_time(azure: FakeAzure) -> None:
    azure.schedule("Preempt", azure.name)
    notice = AzureScheduledEvents(endpoint=azure.endpoint).poll()
    assert notice is not None
    assert notice.stop
    assert notice.deadline is None


def test_an_event_that_is_taken_back_never_means_stop(azure: FakeAzure) -> None:
    azure.schedule("Redeploy", azure.name, seconds=900)
    with started(AzureScheduledEvents(endpoint=azure.endpoint, interval=SOON)) as inbox:
        assert not inbox.next().stop
        azure.events.clear()
        seen = len(azure.seen)
        wait_until(lambda: len(azure.seen) > seen + 2)
        assert inbox.is_empty()


# Servers that are slow, or not there


def test_an_error_is_logged_once_and_the_source_asks_on(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cloudckpt.manager.preemption")
    aws.failures = [503, 503, 503]
    aws.items["spot/instance-action"] = {"action": "terminate", "time": stamp(60)}
    with started(AwsSpot(endpoint=aws.endpoint, interval=SOON)) as inbox:
        assert inbox.next().stop
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]
    assert "answered 503" in caplog.records[0].getMessage()


def test_a_server_that_never_answers_is_given_up(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.silent.set()
    source = AwsSpot(endpoint=aws.endpoint)
    with pytest.raises(TimeoutError, match=r"did not answer /latest/api/token within 0\.05 s"):
        source._server.ask("/latest/api/token", {}, timeout=0.05)


def test_a_server_that_sends_a_byte_at_a_time_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            client, _ = listener.accept()
            with client:
                try:
                    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"x" * 9999:
                        client.sendall(bytes([byte]))
                        time.sleep(0.01)
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        source = AwsSpot(endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            source._server.ask("/", {}, timeout=0.3)


def test_stopping_does_not_wait_for_a_server(gce: FakeGce) -> None:
    gce.silent.set()
    source = GceMetadata(endpoint=gce.endpoint, interval=SOON)
    with started(source):
        wait_until(lambda: bool(gce.seen))
        thread = source._thread
        assert thread is not None
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(gce.seen) == 1


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1", "ftp://somewhere", "http://"])
def test_an_endpoint_must_be_plain_http(endpoint: str) -> None:
    with pytest.raises(ValueError, match="metadata server is at"):
        GceMetadata(endpoint=endpoint)


def test_an_interval_is_positive() -> None:
    with pytest.raises(ValueError, match="interval"):
        AwsSpot(interval=0)


def test_a_source_belongs_to_one_manager(aws: FakeAws) -> None:
    source = AwsSpot(endpoint=aws.endpoint)
    with started(source), pytest.raises(ValueError, match="started already"):
        source.start(Inbox().report)


def test_a_source_can_be_started_again(aws: FakeAws) -> None:
    source = AwsSpot(endpoint=aws.endpoint, interval=SOON)
    aws.items["spot/instance-action"] = {"action": "terminate", "time": stamp(60)}
    for _ in range(2):
        with started(source) as inbox:
            assert inbox.next().stop


# Which cloud it is


def cloud_at(server: FakeMetadata) -> _Cloud:
    at = server.endpoint
    candidates = (
        GceMetadata(endpoint=at, interval=SOON),
        AwsSpot(endpoint=at, interval=SOON),
        AzureScheduledEvents(endpoint=at, interval=SOON),
    )
    return _Cloud(candidates, pause=SOON)


def test_each_cloud_is_known_by_its_server(gce: FakeGce, aws: FakeAws, azure: FakeAzure) -> None:
    gce.set("preempted", "TRUE")
    aws.items["spot/instance-action"] = {"action": "stop", "time": stamp(60)}
    azure.schedule("Preempt", azure.name, seconds=30)
    for server, name in ((gce, "GCE"), (aws, "AWS"), (azure, "Azure")):
        with started(cloud_at(server)) as inbox:
            assert inbox.next().reason.startswith(name)


def test_a_server_that_comes_up_late_is_found(gce: FakeGce) -> None:
    gce.failures = [503, 503, 503]
    gce.set("preempted", "TRUE")
    with started(cloud_at(gce)) as inbox:
        assert inbox.next().stop


def test_a_cloud_that_can_not_even_be_asked_is_passed_over(aws: FakeAws, gce: FakeGce) -> None:
    aws.items["spot/instance-action"] = {"action": "stop", "time": stamp(60)}
    nowhere = f"http://{'x' * 64}.internal"  # no resolver takes such a name
    cloud = _Cloud((GceMetadata(endpoint=nowhere), AwsSpot(endpoint=aws.endpoint, interval=SOON)), pause=SOON)
    with started(cloud) as inbox:
        assert inbox.next().reason.startswith("AWS")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads: that is the test
def test_a_forked_process_that_stops_a_source_cuts_off_nothing_of_its_parent_s(gce: FakeGce) -> None:
    source = GceMetadata(endpoint=gce.endpoint, interval=SOON)
    with started(source) as inbox:
        wait_until(lambda: any("wait_for_change" in path for path in gce.seen))
        child = os.fork()
        if not child:
            source.stop()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        asked = len(gce.seen)
        gce.set("preempted", "TRUE")
        assert inbox.next().stop
        assert len(gce.seen) == asked


def test_a_machine_of_no_cloud_is_asked_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cloudckpt.manager.preemption")
    with FakeMetadata() as server:
        at = server.endpoint
    cloud = _Cloud((GceMetadata(endpoint=at), AwsSpot(endpoint=at), AzureScheduledEvents(endpoint=at)), pause=SOON)
    with started(cloud) as inbox:
        thread = cloud._thread
        assert thread is not None
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert inbox.is_empty()
    assert [record.getMessage() for record in caplog.records] == [
        "no cloud's metadata server is in reach: its notices will not be known"
    ]
