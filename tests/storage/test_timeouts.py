"""Time limits of saves and restores, on servers that take for ever; the bounds only mean "not for ever"."""

from __future__ import annotations

import time
import uuid

import fsspec
import numpy as np
import pytest

import cloudckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import CommitUnknownError, StorageTimeoutError, TransientStorageError
from cloudckpt.storage.attempts import MOST_RETRIES, Attempts
from cloudckpt.storage.deadline import pause, time_limit
from cloudckpt.storage.open import open_location
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import failing

SECONDS = 2.0
FOR_EVER = 25.0
TREE = {"w": np.arange(10.0)}
EMPTY = Answer(body=b"<ListBucketResult></ListBucketResult>")


def hangs(seen):
    return Answer(hang=True)


def trickles(seen):
    return Answer(trickle=1.0)


def trickles_the_body(seen):
    return Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", trickle=0.0)


def is_busy(seen):
    return failing(503, "SlowDown")


def wants_to_be_left_alone(seen):
    return failing(429, **{"Retry-After": "3600"})


def options(server):
    """Storage options; what botocore reads before its first request is read, as that may take a while here."""
    chosen = {"key": "a", "secret": "b", "endpoint_url": server.url}
    fsspec.filesystem("s3", **chosen).connect()
    return {**chosen, "part_size": 5 << 20}


@pytest.fixture
def url():
    return f"s3://{uuid.uuid4().hex}/run/ckpt-1"


def in_time(operation, *cause):
    began = time.monotonic()
    with pytest.raises(StorageTimeoutError) as failure:
        operation()
    assert time.monotonic() - began < FOR_EVER
    message = str(failure.value)
    assert f"the time limit of {SECONDS:g} s is over" in message
    assert all(part in message for part in cause), message
    assert failure.value.attempts >= 1
    assert isinstance(failure.value, TimeoutError)
    return failure.value


SERVERS = pytest.mark.parametrize(
    ("by", "cause"),
    [
        (hangs, "had no whole answer from http://127.0.0.1"),
        (trickles, "had no whole answer from http://127.0.0.1"),
        (is_busy, "HTTP 503 SlowDown"),
        (wants_to_be_left_alone, "HTTP 429"),
    ],
)


@SERVERS
def test_a_save_ends_in_time(url, by, cause):
    with scripted_server(by=by) as server:
        error = in_time(lambda: cloudckpt.save(url, TREE, storage_options=options(server), timeout=SECONDS), cause)
        assert error.attempts == len(server.seen)


@SERVERS
def test_a_load_ends_in_time(url, by, cause):
    with scripted_server(by=by) as server:
        in_time(lambda: cloudckpt.load(url, storage_options=options(server), timeout=SECONDS), cause)


@pytest.mark.parametrize(
    "operation",
    [
        lambda manager: manager.save(1, TREE),
        lambda manager: manager.restore_latest(),
        lambda manager: manager.restore(1),
        lambda manager: manager.latest_step(),
        lambda manager: manager.all_steps(),
    ],
    ids=["save", "restore_latest", "restore", "latest_step", "all_steps"],
)
def test_a_manager_ends_in_time(url, operation):
    with scripted_server(by=is_busy) as server:
        directory = url.rpartition("/")[0]
        with cloudckpt.CheckpointManager(directory, storage_options=options(server), timeout=SECONDS) as manager:
            in_time(lambda: operation(manager), "HTTP 503 SlowDown")


@pytest.mark.parametrize("by", [hangs, trickles, is_busy])
@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_time_limit_is_checked_at_once(url, by, timeout):
    with scripted_server(by=by) as server:
        for operation in (
            lambda: cloudckpt.save(url, TREE, storage_options=options(server), timeout=timeout),
            lambda: cloudckpt.load(url, storage_options=options(server), timeout=timeout),
            lambda: cloudckpt.CheckpointManager(url, storage_options=options(server), timeout=timeout),
        ):
            with pytest.raises(ValueError, match=r"above 0|more than 0"):
                operation()
        assert server.seen == []


def upload_that(by):
    """A server that is well until the parts of the data come."""

    def judge(seen):
        if "uploads" in seen.query:
            return Answer(body=b"<R><UploadId>id</UploadId></R>")
        if seen.method == "DELETE":
            return Answer(204)
        if "partNumber" in seen.query:
            return by(seen)
        if "probe" in seen.path:
            return Answer(412)
        return EMPTY

    return judge


@pytest.mark.parametrize("by", [hangs, trickles, is_busy])
def test_an_upload_that_is_cut_is_aborted(url, by):
    tree = {"w": np.zeros(20 << 20, np.uint8)}
    with scripted_server(by=upload_that(by)) as server:
        in_time(lambda: cloudckpt.save(url, tree, storage_options=options(server), timeout=SECONDS))
        assert [seen.query for seen in server.seen if seen.method == "DELETE" and seen.query] == [{"uploadId": "id"}]


def test_a_body_that_nobody_reads_is_cut(url):
    tree = {"w": np.zeros(64 << 20, np.uint8)}

    def stuck(seen):
        return Answer(hang=True)

    with scripted_server(by=upload_that(stuck)) as server:
        in_time(lambda: cloudckpt.save(url, tree, storage_options=options(server), timeout=SECONDS))


def test_what_became_of_the_index_is_asked_after_the_time_is_over(url):
    """Sent, and not answered in time: it may be there."""
    written = {}

    def judge(seen):
        if seen.method == "PUT" and seen.path.endswith(".index"):
            written["commit"] = seen.headers["x-amz-meta-cloudckpt-commit"]
            return Answer(hang=True)
        if seen.method == "HEAD" and seen.path.endswith(".index"):
            commit = {"x-amz-meta-cloudckpt-commit": written["commit"], "ETag": '"index"', "Content-Length": "9"}
            return Answer(headers=commit)
        return Answer(412) if "probe" in seen.path else EMPTY

    with scripted_server(by=judge) as server:
        cloudckpt.save(url, TREE, storage_options=options(server), timeout=SECONDS)
        assert server.seen[-1].method == "HEAD"


def test_an_index_whose_fate_can_not_be_found_out_is_unknown(url):
    def judge(seen):
        if seen.path.endswith(".index") and seen.method in ("PUT", "HEAD"):
            return Answer(hang=True)
        return Answer(412) if "probe" in seen.path else EMPTY

    began = time.monotonic()
    with scripted_server(by=judge) as server, pytest.raises(CommitUnknownError, match="the time limit of 2 s is over"):
        cloudckpt.save(url, TREE, storage_options=options(server), timeout=SECONDS)
    assert time.monotonic() - began < FOR_EVER


def test_what_was_written_in_time_goes_where_the_index_comes_too_late(url):
    with open_location(f"memory://{url.removeprefix('s3://')}") as prefix:
        with time_limit(0.2), pytest.raises(StorageTimeoutError, match=r"the time limit of 0\.2 s is over"):
            save_tensors(prefix, TREE, before_commit=lambda: pause(60))
        assert not list(prefix.store.list(prefix.key))


def test_a_data_file_whose_fate_can_not_be_found_out_is_no_commit(url):
    def judge(seen):
        if ".data-" in seen.path and seen.method in ("PUT", "HEAD"):
            return Answer(hang=True)
        return Answer(412) if "probe" in seen.path else EMPTY

    with scripted_server(by=judge) as server:
        in_time(lambda: cloudckpt.save(url, TREE, storage_options=options(server), timeout=SECONDS), "had no whole")


def test_a_local_save_ends_between_two_parts(tmp_path, monkeypatch):
    now = 1000.0

    def later(*_):
        nonlocal now
        now += 100
        return now

    path = tmp_path / "ckpt-1"
    cloudckpt.save(path, TREE, timeout=SECONDS)
    monkeypatch.setattr("cloudckpt.storage.deadline.time.monotonic", later)
    with pytest.raises(StorageTimeoutError):
        cloudckpt.save(path, TREE, timeout=SECONDS)
    with pytest.raises(StorageTimeoutError):
        cloudckpt.load(path, timeout=SECONDS)
    monkeypatch.undo()
    assert np.array_equal(cloudckpt.load(path)["w"], TREE["w"])


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def rest(self, seconds):
        pass


@pytest.fixture
def clock():
    return Clock()


def fail():
    raise TransientStorageError("503")


def counted(attempts):
    """How often an operation that always fails is tried."""
    tries = []

    def operation():
        tries.append(1)
        fail()

    with pytest.raises(TransientStorageError):
        attempts.run("get s3://bucket/key", operation)
    return len(tries)


def test_in_an_outage_not_every_operation_is_retried_to_the_full(clock):
    """All fail at once, so that no time passes in which the budget would grow."""
    attempts = Attempts(120.0, sleep=clock.rest, clock=clock)
    assert counted(attempts) == 1 + MOST_RETRIES + 120
    assert counted(attempts) == 1
    assert counted(Attempts(120.0, sleep=clock.sleep, clock=clock)) > 5


def test_the_budget_comes_back_with_successes_and_with_time(clock):
    attempts = Attempts(0.5, sleep=clock.sleep, clock=clock)
    budget = attempts._budget.get()
    for _ in range(int(MOST_RETRIES)):
        assert budget.take(clock.now) == 0.0
    assert counted(attempts) == 1
    for _ in range(5):
        attempts.run("put", lambda: None)
    assert counted(attempts) == 2
    clock.now += 1e6
    assert [budget.take(clock.now) for _ in range(int(MOST_RETRIES))] == [0.0] * int(MOST_RETRIES)
    assert budget.take(clock.now) == 1.0


def test_a_limit_that_leaves_no_time_for_another_attempt_is_told_at_once(clock):
    def refused():
        raise TransientStorageError("503 slow down", retry_after=2000.0)

    over = "503 slow down .the time limit of 0.1 s is over before another attempt"
    with time_limit(0.1), pytest.raises(StorageTimeoutError, match=over) as failure:
        Attempts(1e9, sleep=clock.rest).run("get s3://bucket/key", refused)
    assert (failure.value.attempts, failure.value.retry_after) == (1, 2000.0)


def test_attempts_without_an_end_go_on(clock):
    tries = iter(range(3000))

    def operation():
        if next(tries) < 2500:
            fail()
        return "done"

    assert Attempts(1e9, sleep=clock.sleep, clock=clock).run("get s3://bucket/key", operation) == "done"
