"""Azure Blob Storage on Azurite: the contract, real jobs, and what the contract does not say of it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from crc32c import crc32c

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.errors import (
    CommitConflictError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    ShortReadError,
    StorageError,
    StorageTimeoutError,
    TransientStorageError,
)
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always, IfAbsent
from cloudckpt.testing import StoreContract
from tests.azurite import running_azurite
from tests.faults import test_readers
from tests.garbage.places import Directory, committed, only_checkpoints, tensors
from tests.storage.scripted_server import Answer, scripted_server

MIB = 1 << 20


@pytest.fixture(scope="module")
def azurite(tmp_path_factory):
    with running_azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def location(azurite):
    with open_location(azurite.fresh_url(), azurite.storage_options) as location:
        yield location


def put(store, key, data=b"data", condition=Always()):  # noqa: B008 - a frozen value
    return store.put(key, data, condition, crc32c=crc32c(data))


class TestAzurite(StoreContract):
    has_buckets = True
    many_keys = 50  # a page is 5000, and each costs Azurite 10 ms

    @pytest.fixture
    def location(self, azurite):
        with open_location(azurite.fresh_url(), azurite.storage_options) as location:
            yield location

    @pytest.fixture
    def missing_location(self, azurite):
        with open_location(f"abfs://no-such-{uuid.uuid4().hex[:8]}/run", azurite.storage_options) as location:
            yield location


def test_an_index_of_many_tensors_is_replaced_on_its_condition(location):
    """It is more than goes in one request: two, and still nobody sees a part of it."""
    key, large = location.child("ckpt.index").key, bytes(5 * MIB)
    first = put(location.store, key, large, IfAbsent())
    assert location.store.get(key) == (large, location.store.stat(key))
    with pytest.raises(PreconditionFailedError):
        put(location.store, key, large, IfAbsent())
    assert location.store.stat(key).version == first.version


def test_whoever_completes_first_wins_and_the_other_is_told(location):
    """Completing one upload frees the blocks of all others of that key."""
    key, data = location.child("object").key, bytes(9 * MIB)
    uploads = [location.store.create(key, len(data), condition) for condition in (Always(), IfAbsent(), Always())]
    for upload in uploads:
        for offset in range(0, len(data), upload.part_size):
            part = data[offset : offset + upload.part_size]
            upload.write(offset, [part], crc32c(part))
    uploads[0].complete(crc32c(data))
    with pytest.raises(PreconditionFailedError):
        uploads[1].complete(crc32c(data))
    with pytest.raises(StorageError, match="another writer wrote it meanwhile") as failure:
        uploads[2].complete(crc32c(data))
    assert not isinstance(failure.value, PreconditionFailedError | TransientStorageError)
    assert location.store.get(key)[0] == data


def test_folders_of_other_tools_are_no_objects(azurite, location):
    client = location.store._store._client
    for name, metadata in [("a/", {}), ("folder", {"hdi_isfolder": "true"}), ("b", {"is_directory": "true"})]:
        client.call(location.child(name).key, "upload_blob", b"", metadata=metadata)
    put(location.store, location.child("object").key)
    for recursive in (False, True):
        listed = location.store.list(location.key + "/", recursive=recursive)
        assert [info.key for info in listed] == [location.child("object").key]


def test_an_object_with_snapshots_is_deleted(location):
    key = location.child("object").key
    put(location.store, key)
    location.store._store._client.call(key, "create_snapshot")
    location.store.delete([key])
    with pytest.raises(ObjectNotFoundError):
        location.store.stat(key)


def test_the_clock_is_the_servers(location):
    store = location.store._store
    before = store.time()
    written = put(store, location.child("object").key)
    assert before == 0.0 or before <= store.time()
    assert abs(written.modified - store.time()) <= 1
    assert store.capabilities.server_times


def test_p12_garbage_is_found_and_deleted(location):
    run = Directory(location=location)
    save_tensors(run.prefix("ckpt-2"), tensors(2))
    run.write("ckpt-1.data-00000-of-00001", "ckpt-2.data-54321-of-65432", "ckpt-1.index.tempstate12")
    before = committed(location)
    assert run.collect().found == ()
    assert len(run.collect(min_age=0, no_writers=True).deleted) == 3
    assert committed(location) == before
    assert only_checkpoints(location)


@pytest.mark.parametrize("how", ["replaced", "deleted"])
@pytest.mark.parametrize("kind", ["load", "handles", "restore"])
def test_p11_a_reader_of_what_is_replaced(location, kind, how):
    place = location.child("ckpt-7")
    found = {test_readers.play(place, kind, how, test_readers.then_all_at_once(after)) for after in range(5)}
    assert found - {None, 1}


def test_a_forked_child_reads_with_the_store_of_its_parent(location):
    key = location.child("object").key
    put(location.store, key)
    # In a process of its own: a fork of this one would take along the threads of all tests before.
    program = """
import os, sys
from cloudckpt.storage.open import open_location
with open_location(sys.argv[1], {"connection_string": sys.argv[2]}) as place:
    assert place.store.get(place.key)[0] == b"data"
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if place.store.get(place.key)[0] == b"data" else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert place.store.get(place.key)[0] == b"data"
"""
    options = location.store._store._client._filesystem.get().connection_string
    environ = {**os.environ, "PYTHONPATH": str(Path(ckpt.__file__).parent.parent)}
    command = [sys.executable, "-c", program, location.child("object").url, options]
    subprocess.run(command, check=True, timeout=60, env=environ)


def test_two_writers_of_a_prefix(azurite):
    prefix = f"{azurite.fresh_url()}/ckpt-1"
    start = threading.Barrier(4)

    def save(number):
        start.wait()
        try:
            ckpt.save(prefix, {"w": np.full(MIB, number)}, storage_options=azurite.storage_options)
        except CommitConflictError:
            return None
        return number

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(save, range(4)))
    winners = [number for number in outcomes if number is not None]
    loaded = ckpt.load(prefix, storage_options=azurite.storage_options)["w"]
    assert winners
    assert loaded[0] in winners
    np.testing.assert_array_equal(loaded, np.full(MIB, loaded[0]))


def test_a_manager_replaces_retires_and_resumes(azurite):
    directory = azurite.fresh_url()
    manager = partial(ckpt.CheckpointManager, directory, max_to_keep=2, storage_options=azurite.storage_options)
    with manager() as first:
        for step in (1, 2, 3, 3):
            first.save(step, {"w": np.full(3 * MIB, step, np.float32)})
        assert first.all_steps() == [2, 3]
    with manager() as second:
        state, step = second.restore_latest()
        assert step == 3
        np.testing.assert_array_equal(state["w"], np.full(3 * MIB, 3, np.float32))
        second.save(4, state)
    with pytest.raises(CommitConflictError):
        first_again = manager()
        first_again.save(5, state)
        with manager() as other:
            other.restore_latest()
            other.save(6, state)
        first_again.save(7, state)


JOB = """
import sys
import numpy as np
import cloudckpt as ckpt
options = {"connection_string": sys.argv[2]}
with ckpt.CheckpointManager(sys.argv[1], max_to_keep=2, storage_options=options) as manager:
    state, step = manager.restore_latest(default=({"w": np.zeros(500_000)}, 0))
    assert (state["w"] == step).all()
    print("resumed", step, flush=True)
    while step < int(sys.argv[3]):
        step += 1
        print("saving", step, flush=True)
        manager.save(step, {"w": np.full(500_000, float(step))})
"""


def test_a_job_that_is_killed_again_and_again_loses_nothing(azurite):
    directory, connection = azurite.fresh_url(), azurite.storage_options["connection_string"]
    environ = {**os.environ, "PYTHONPATH": str(Path(ckpt.__file__).parent.parent)}
    command = [sys.executable, "-W", "ignore", "-c", JOB, directory, connection, "8"]
    saved = 0
    for pause in (0.0, 0.03, None):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as job:
            for line in job.stdout:
                what, step = line.split()
                if what == "resumed":
                    assert int(step) >= saved - 1  # all that was said to be saved is there
                elif pause is not None and int(step) >= saved + 2:
                    threading.Event().wait(pause)
                    job.kill()
                saved = max(saved, int(step))
        assert pause is not None or job.returncode == 0
    with ckpt.CheckpointManager(directory, storage_options=azurite.storage_options) as manager:
        state, step = manager.restore_latest()
    assert step == 8
    np.testing.assert_array_equal(state["w"], np.full(500_000, 8.0))


def test_the_callers_time_limit_cuts_a_request_off():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        open_location(
            "abfs://container/run", {"connection_string": reached_at(f"127.0.0.1:{silent.getsockname()[1]}")}
        ) as location,
        time_limit(0.2),
        pytest.raises(StorageTimeoutError, match=re.escape("the time limit of 0.2 s is over")),
    ):
        location.store.stat("run/key")


def reached_at(host):
    return f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=AAAA;BlobEndpoint=http://{host}/a;"


def test_a_server_that_is_away_is_transient():
    options = {"connection_string": reached_at("127.0.0.1:1"), "max_retry_seconds": 0}
    with (
        open_location("abfs://container/run", options) as location,
        pytest.raises(TransientStorageError, match="abfs://container/run/key: there was no whole answer"),
    ):
        location.store.stat("run/key")


def test_a_wrong_key_is_a_refusal_that_shows_none(azurite):
    connection = azurite.storage_options["connection_string"].replace("Eby8", "Xby8")
    with (
        open_location(azurite.fresh_url(), {"connection_string": connection}) as location,
        pytest.raises(PermissionDeniedError, match="check the credentials") as failure,
    ):
        location.store.stat(location.key)
    assert "Xby8" not in str(failure.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("abfs://container/run/ckpt-1", "abfs://container/run/ckpt-1"),
        ("az://container/run/ckpt-1/", "az://container/run/ckpt-1"),
        (
            "abfss://container@account.dfs.core.windows.net/run/ckpt-1",
            "abfss://container@account.dfs.core.windows.net/run/ckpt-1",
        ),
        ("abfs://container", "abfs://container/"),
    ],
)
def test_urls_are_shown_as_they_were_given(url, shown):
    with open_location(url, {"account_name": "account", "account_key": "AAAA"}) as location:
        assert location.url == shown
        key = "" if shown.endswith("/") else "run/ckpt-1"
        assert location.key == key


def test_a_read_beyond_the_end(location):
    key = location.child("object").key
    put(location.store, key)
    for offset in (3, 4, 50):
        with pytest.raises(ShortReadError):
            location.store.read(key, offset, [memoryview(bytearray(2))])


def test_a_folder_is_no_object(location):
    key = location.child("folder").key
    location.store._store._client.call(key, "upload_blob", b"", metadata={"Hdi_isfolder": "true"})
    with pytest.raises(ObjectNotFoundError, match="is a folder"):
        location.store.stat(key)


@pytest.mark.parametrize("size", [5, 3 * MIB])
def test_a_write_whose_answer_is_lost_is_recognised(location, monkeypatch, size):
    """On a condition, sent again it fails; and it was ours all the same."""
    client, lost = location.store._store._client, []
    call = client.call

    def then_lost(key, operation, *args, **options):
        answer = call(key, operation, *args, **options)
        if operation in {"upload_blob", "commit_block_list"} and not lost:
            lost.append(operation)
            raise TransientStorageError("the answer was lost")
        return answer

    monkeypatch.setattr(client, "call", then_lost)
    key, data = location.child("object").key, bytes(size)
    with location.store.create(key, size, IfAbsent(), commit_id="mine") as upload:
        upload.write(0, [data], crc32c(data))
        info = upload.complete(crc32c(data))
    assert lost
    assert (info, info.commit_id) == (location.store.stat(key), "mine")


FOUND = {
    "ETag": '"0x1"',
    "Date": "Thu, 01 Jan 2026 00:00:01 GMT",
    "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    "Content-Range": "bytes 0-99/100",
    "x-ms-blob-type": "BlockBlob",
}


def read(store):
    store.read("run/key", 0, [memoryview(bytearray(100))])


@pytest.mark.parametrize(
    ("answer", "operation", "error"),
    [
        (Answer(206, bytes(100), FOUND, cut=50), read, TransientStorageError),
        (Answer(200, bytes(100), FOUND, cut=50), lambda store: store.get("run/key"), TransientStorageError),
        (Answer(drop=True), read, TransientStorageError),
        (Answer(503, b"", {"Retry-After": "7"}), read, TransientStorageError),
        (
            Answer(200, b"<html>", {"Content-Type": "application/xml"}),
            lambda s: list(s.list("x")),
            TransientStorageError,
        ),
        # Answers that are none of the service's, as of a proxy that asks for a login.
        (Answer(206, bytes(100), FOUND | {"Content-Range": "what?"}), read, StorageError),
        (Answer(200, b"<html>"), read, StorageError),
        (Answer(200, b"<html>"), lambda store: store.stat("run/key"), StorageError),
        (Answer(200, b"{}", {"Content-Type": "application/json"}), lambda store: list(store.list("x")), StorageError),
    ],
)
def test_what_broken_answers_mean(answer, operation, error):
    with (
        scripted_server(by=lambda _: answer) as server,
        open_location(
            "abfs://container/run", {"connection_string": reached_at(urlsplit(server.url).netloc)}
        ) as location,
        pytest.raises(StorageError, match="abfs://container/") as failure,
    ):
        operation(location.store._store)
    assert type(failure.value) is error
    assert getattr(failure.value, "retry_after", None) == (7 if answer.status == 503 else None)


def test_a_place_without_a_key_is_an_error_of_ours(azurite):
    with (
        open_location(f"abfs://{azurite.bucket}", azurite.storage_options) as location,
        pytest.raises(StorageError, match="Please specify a container name and blob name"),
    ):
        location.store.stat(location.key)
