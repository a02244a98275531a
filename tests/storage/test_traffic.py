"""What is counted of a save and a load, on each kind of store: requests, retries and bytes."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.errors import TransientStorageError
from cloudckpt.storage.attempts import Attempts
from cloudckpt.storage.http.client import HttpClient, Request
from cloudckpt.storage.open import open_location
from cloudckpt.storage.side_by_side import run_side_by_side
from cloudckpt.storage.traffic import Traffic, counted, record
from tests.storage.scripted_server import Answer, scripted_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import ObjectServer

BYTES = 3 << 20


def tree() -> dict[str, np.ndarray]:
    return {"w": np.random.default_rng(0).integers(0, 256, BYTES, np.uint8)}


def figures(traffic: Traffic) -> tuple[int, int, int, int]:
    return traffic.requests, traffic.retries, traffic.sent, traffic.received


def sizes_of(prefix: str, options: dict | None = None) -> int:
    """The bytes of all files of a checkpoint."""
    with open_location(prefix, options) as location:
        return sum(info.size for info in location.store.list(location.key))


def test_nobody_counts_outside_a_block():
    with counted() as traffic:
        pass
    record(requests=1, retries=1, sent=1, received=1)
    assert figures(traffic) == (0, 0, 0, 0)


def test_an_outer_block_counts_what_an_inner_one_does():
    with counted() as outer:
        record(requests=1)
        with counted() as inner:
            record(retries=2, sent=3, received=4)
    assert figures(inner) == (0, 2, 3, 4)
    assert figures(outer) == (1, 2, 3, 4)


def test_counters_that_are_there_already_go_on():
    traffic = Traffic()
    for _ in range(2):
        with counted(traffic):
            record(sent=5)
    assert traffic.sent == 10


def test_threads_that_work_side_by_side_count_for_their_caller():
    with counted() as traffic:
        run_side_by_side([lambda: record(requests=1, sent=7)] * 500, threads=4)
    assert figures(traffic) == (500, 0, 3500, 0)


def test_another_thread_counts_for_itself_only():
    with counted() as traffic:
        stranger = threading.Thread(target=record, kwargs={"sent": 1})
        follower = threading.Thread(target=copy_context().run, args=(record,), kwargs={"received": 1})
        for thread in (stranger, follower):
            thread.start()
            thread.join()
    assert figures(traffic) == (0, 0, 0, 1)


def test_each_further_attempt_is_a_retry():
    left = [TransientStorageError("first"), TransientStorageError("second")]

    def operation() -> str:
        if left:
            raise left.pop()
        return "done"

    with counted() as traffic:
        assert Attempts(sleep=lambda _: None).run("test", operation) == "done"
    assert traffic.retries == 2


def test_giving_up_is_no_retry():
    def operation() -> None:
        raise TransientStorageError("always")

    with counted() as traffic, pytest.raises(TransientStorageError, match="gave up"):
        Attempts(0.0, sleep=lambda _: None).run("test", operation)
    assert traffic.retries == 0


def test_bodies_of_requests_and_answers():
    out = bytearray(4)
    client = HttpClient()
    with scripted_server(Answer(), Answer(206, b"0123"), Answer(200, b"text")) as server, counted() as traffic:
        url = server.url + "/key"
        client.request(Request("PUT", url, {}, "s3://b/key", body=[b"ab", b"cde"]))
        assert figures(traffic) == (1, 0, 5, 0)
        client.request(Request("GET", url, {}, "s3://b/key", into=[memoryview(out)]))
        assert figures(traffic) == (2, 0, 5, 4)
        client.request(Request("GET", url, {}, "s3://b/key"))
        assert figures(traffic) == (3, 0, 5, 8)
    client.close()


def test_a_request_without_an_answer_is_one_and_has_sent_nothing():
    client = HttpClient()
    with scripted_server(Answer(drop=True)) as server, counted() as traffic, pytest.raises(TransientStorageError):
        client.request(Request("PUT", server.url + "/key", {}, "s3://b/key", body=[b"abc"]))
    client.close()
    assert figures(traffic) == (1, 0, 0, 0)


@pytest.mark.parametrize("scheme", ["", "memory://traffic"])
def test_a_save_and_a_load_without_a_server(scheme: str, tmp_path: Path):
    prefix = f"{scheme or tmp_path}/ckpt-1"
    with counted() as saved:
        ckpt.save(prefix, tree())
    assert saved.sent == sizes_of(prefix)
    assert saved.received == 0
    assert saved.requests >= 2  # the data and the index
    with counted() as loaded:
        ckpt.load(prefix)
    assert (loaded.sent, loaded.retries) == (0, 0)
    assert loaded.received == sizes_of(prefix)


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
def test_a_filesystem_of_fsspec_counts_its_operations(tmp_path: Path):
    prefix = f"dir::file://{tmp_path}/ckpt-1"
    with counted() as saved:
        ckpt.save(prefix, tree())
    assert saved.sent == sizes_of(prefix)
    with counted() as loaded:
        ckpt.load(prefix)
    assert loaded.received == saved.sent
    assert min(saved.requests, loaded.requests) > 2


def test_a_save_and_a_load_on_a_server(object_server: ObjectServer):
    prefix, options = object_server.fresh_url() + "/ckpt-1", object_server.storage_options
    with counted() as saved:
        ckpt.save(prefix, tree(), storage_options=options)
    stored = sizes_of(prefix, options)
    # Beside the objects: the bodies of requests about them, such as the list of an upload's parts.
    assert stored <= saved.sent <= stored + 4096
    assert saved.retries == 0
    with counted() as loaded:
        ckpt.load(prefix, storage_options=options)
    assert stored <= loaded.received <= stored + 65536
    assert loaded.sent == 0
