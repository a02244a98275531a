"""Processes: forks while connections, locks and event loops are in use; and Ctrl-C in the middle of an upload."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import fsspec
import numpy as np
import pytest
from crc32c import crc32c

import cloudckpt
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.s3.credentials import Credentials
from cloudckpt.storage.s3.store import S3Store
from cloudckpt.storage.store import Always
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3_upload import unfinished
from tests.storage.test_timeouts import options, upload_that

# Python 3.12 warns of every fork beside threads; that this works all the same is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

DATA = np.random.default_rng(0).bytes(1 << 20)


@pytest.fixture
def filesystem(minio):
    return fsspec.filesystem("s3", skip_instance_cache=True, **minio.storage_options)


@pytest.fixture
def store(minio, filesystem):
    with RetryingStore(S3Store(minio.bucket, filesystem)) as store:
        yield store


@pytest.fixture
def key(store):
    key = f"{uuid.uuid4().hex}/key"
    store.put(key, DATA, Always(), crc32c=crc32c(DATA))
    return key


def reads(store, key):
    buffer = bytearray(len(DATA))
    store.read(key, 0, [memoryview(buffer)])
    return buffer == DATA


def in_child(work):
    """Whether `work`, done in a forked child, returns true, and does so within a minute."""
    child = os.fork()
    if child == 0:
        done = False
        try:
            done = work()
        finally:
            os._exit(0 if done else 1)
    ended_at = time.monotonic() + 60
    while time.monotonic() < ended_at:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def test_a_child_reads_while_its_parent_reads(store, key):
    stop, failed = threading.Event(), []

    def read():
        while not stop.is_set():
            if not reads(store, key):
                failed.append(1)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert all(in_child(lambda: all(reads(store, key) for _ in range(5))) for _ in range(5))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert reads(store, key)


def test_a_child_that_was_forked_before_the_first_request(minio, store):
    key = f"{uuid.uuid4().hex}/key"

    def write():
        return store.put(key, DATA, Always(), crc32c=crc32c(DATA)).size == len(DATA)

    assert in_child(write)
    assert reads(store, key)


def test_a_child_that_was_forked_while_all_locks_were_held(store, key, filesystem):
    """Of ours, of botocore's and of fsspec's event loop, which does not survive the fork."""
    line = store._store._client._line.get()
    credentials = store._store._client.access.credentials
    ready, stop = threading.Event(), threading.Event()

    def hold():
        idle = line._found[1]._pool._idle.get()
        with line._lock, credentials._lock, idle.lock, store._attempts._budget.get()._lock:
            ready.set()
            stop.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait(60)
    try:
        assert in_child(lambda: reads(store, key))
    finally:
        stop.set()
        holder.join()
    assert reads(store, key)


def test_a_child_renews_credentials_by_itself(store, key):
    def renewed():
        credentials = store._store._client.access.credentials
        credentials._until = 0.0
        return reads(store, key) and isinstance(credentials, Credentials)

    assert reads(store, key)
    assert in_child(renewed)


def load(url, storage_options, results):
    results.put(bool(np.array_equal(cloudckpt.load(url, storage_options=storage_options)["w"], np.arange(1000.0))))


def test_workers_of_multiprocessing_load(minio):
    url = f"{minio.fresh_url()}/ckpt-1"
    cloudckpt.save(url, {"w": np.arange(1000.0)}, storage_options=minio.storage_options)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    workers = [context.Process(target=load, args=(url, minio.storage_options, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert [results.get() for _ in workers] == [True] * 3
    results.close()


def test_closing_leaves_nothing_to_the_collector(minio, filesystem):
    """A socket that nobody closed is a ResourceWarning, and so an error here."""
    with RetryingStore(S3Store(minio.bucket, filesystem)) as store:
        list(store.list("nothing/"))
        store.close()
        list(store.list("nothing/"))
    del store
    gc.collect()


SAVE = """
import os, sys, numpy as np, cloudckpt
from cloudckpt.storage.s3.multipart import S3Multipart
add = S3Multipart.add
def told(self, number, part):
    add(self, number, part)
    os.write(1, b"part\\n")
S3Multipart.add = told
url, key, secret, endpoint = sys.argv[1:]
options = {"key": key, "secret": secret, "endpoint_url": endpoint, "part_size": 5 << 20, "max_concurrency": 2}
cloudckpt.save(url, {"w": np.zeros(1 << 30, np.uint8)}, storage_options=options)
"""


def test_ctrl_c_in_the_middle_of_an_upload_leaves_nothing(minio):
    server = minio.fresh_bucket()
    arguments = [f"{server.root}/run/ckpt-1", server.access_key, server.secret_key, server.endpoint_url]
    job = subprocess.Popen(
        [sys.executable, "-c", SAVE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert job.stdout.readline() == "part\n"
    assert unfinished(server, "run/ckpt-1.data-00000-of-00001")
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert job.returncode not in (0, None)
    assert unfinished(server, "run/ckpt-1.data-00000-of-00001") == []
    with RetryingStore(S3Store(server.bucket, fsspec.filesystem("s3", **server.storage_options))) as store:
        assert list(store.list("run/")) == []


def test_ctrl_c_does_not_wait_for_a_server_that_never_answers():
    """Four parts hang, and would for a minute; the upload is aborted all the same."""
    arrived = threading.Semaphore(0)

    def hangs(seen):
        arrived.release()
        return Answer(hang=True)

    with scripted_server(by=upload_that(hangs)) as server:
        chosen = options(server)

        def interrupt():
            arrived.acquire(timeout=30)
            arrived.acquire(timeout=30)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            cloudckpt.save(
                f"s3://{uuid.uuid4().hex}/run/ckpt-1", {"w": np.zeros(30 << 20, np.uint8)}, storage_options=chosen
            )
        assert time.monotonic() - began < 30
        thread.join()
        assert [seen.query for seen in server.seen if seen.method == "DELETE" and seen.query] == [{"uploadId": "id"}]
