"""Resumable uploads against a script: fake-gcs-server finishes a session when it is asked for its state."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from crc32c import crc32c

from cloudckpt.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
    UploadCorruptedError,
)
from cloudckpt.storage.store import Always, IfAbsent
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_gcs import failing, gcs_store, resource

MIB = 1 << 20
PART = 2 * MIB
DATA = memoryview(np.random.default_rng(0).bytes(2 * PART + 5))
SIZE = len(DATA)
PARTS = [(offset, DATA[offset : offset + PART]) for offset in range(0, SIZE, PART)]
CRC = base64.b64encode(crc32c(DATA).to_bytes(4, "big")).decode()
SESSION = "/session?upload_id=address-that-nobody-may-see"
FINISHED = resource(size=SIZE, generation="18", crc32c=CRC, metadata={"cloudckpt-commit": "mine"})


def stored(count):
    """The server has that many bytes."""
    return Answer(308, headers={"Range": f"bytes=0-{count - 1}"} if count else {})


class Script:
    """Opens a session, then answers its requests in order."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.server = None

    def __call__(self, seen):
        if seen.query.get("uploadType") == "resumable":
            return Answer(headers={"Location": self.server.url + SESSION})
        return self.answers.pop(0)


@pytest.fixture
def upload_with(request):
    """Begin an upload with a server that gives these answers to what follows; returns it and what the server saw."""
    opened = []

    def begin(*answers, condition=Always()):  # noqa: B008 - a frozen value
        script = Script(*answers)
        context = scripted_server(by=script)
        script.server = context.__enter__()
        store = gcs_store(script.server, part_size=PART)
        opened.append((context, store, script))
        return store.create("run/key", SIZE, condition, commit_id="mine"), script.server.seen

    yield begin
    for context, store, script in opened:
        store.close()
        context.__exit__(None, None, None)
        assert script.answers == []


def write(upload, number):
    offset, part = PARTS[number]
    upload.write(offset, [part[:1000], part[1000:]], crc32c(part))


def write_all(upload):
    for number in range(len(PARTS)):
        write(upload, number)


def ranges(seen):
    return [request.headers.get("content-range") for request in seen[1:]]


def test_what_is_sent(upload_with):
    upload, seen = upload_with(stored(PART), stored(2 * PART), FINISHED, condition=IfAbsent())
    write_all(upload)
    assert len(seen) == 3  # the last part waits
    info = upload.complete(crc32c(DATA))
    upload.abort()
    opened, *parts = seen
    assert (info.version, info.size, info.modified, info.commit_id) == ("18", SIZE, 60.0, "mine")
    assert opened.query == {"uploadType": "resumable", "name": "run/key", "ifGenerationMatch": "0"}
    assert json.loads(opened.body) == {"name": "run/key", "metadata": {"cloudckpt-commit": "mine"}}
    assert b"".join(part.body for part in parts) == DATA
    assert ranges(seen) == [
        f"bytes 0-{PART - 1}/{SIZE}",
        f"bytes {PART}-{2 * PART - 1}/{SIZE}",
        f"bytes {2 * PART}-{SIZE - 1}/{SIZE}",
    ]
    assert parts[-1].headers["x-goog-hash"] == f"crc32c={CRC}"
    assert all("authorization" not in part.headers for part in parts)


def test_what_the_server_did_not_keep_of_a_part_is_sent_again(upload_with):
    upload, seen = upload_with(stored(MIB), stored(PART), stored(2 * PART), FINISHED)
    write_all(upload)
    upload.complete(crc32c(DATA))
    assert ranges(seen)[:2] == [f"bytes 0-{PART - 1}/{SIZE}", f"bytes {MIB}-{PART - 1}/{SIZE}"]
    assert seen[2].body == DATA[MIB:PART]


@pytest.mark.parametrize("failure", [failing(503), Answer(drop=True), Answer(308, b"cut off", cut=2)])
@pytest.mark.parametrize("kept", [0, MIB, PART])
def test_a_part_that_failed_goes_on_where_the_server_stands(upload_with, failure, kept):
    rest = [stored(PART)] if kept < PART else []
    upload, seen = upload_with(failure, stored(kept), *rest, stored(2 * PART), FINISHED)
    with pytest.raises(TransientStorageError):
        write(upload, 0)
    write_all(upload)
    upload.complete(crc32c(DATA))
    assert ranges(seen)[1] == f"bytes */{SIZE}"
    assert b"".join(request.body for request in seen[2:]) == DATA[kept:]


def test_a_last_part_whose_answer_was_lost_is_found_finished(upload_with):
    upload, seen = upload_with(stored(PART), stored(2 * PART), Answer(drop=True), FINISHED)
    write_all(upload)
    with pytest.raises(TransientStorageError):
        upload.complete(crc32c(DATA))
    assert upload.complete(crc32c(DATA)).version == "18"
    assert ranges(seen)[-1] == f"bytes */{SIZE}"


def test_a_session_that_does_not_move_on_may_be_tried_again(upload_with):
    upload, _ = upload_with(stored(0))
    with pytest.raises(TransientStorageError, match="stays at byte 0"):
        write(upload, 0)


def test_a_session_that_has_all_and_does_not_finish_may_be_tried_again(upload_with):
    upload, _ = upload_with(stored(PART), stored(2 * PART), stored(SIZE), FINISHED)
    write_all(upload)
    with pytest.raises(TransientStorageError, match="did not finish"):
        upload.complete(crc32c(DATA))
    assert upload.complete(crc32c(DATA)).version == "18"


def test_bytes_that_the_server_lost_end_the_upload(upload_with):
    upload, _ = upload_with(stored(PART), failing(503), stored(MIB))
    write(upload, 0)
    with pytest.raises(TransientStorageError):
        write(upload, 1)
    with pytest.raises(StorageError, match="lost bytes") as failure:
        write(upload, 1)
    assert not isinstance(failure.value, TransientStorageError)


@pytest.mark.parametrize("status", [404, 410])
def test_a_session_that_is_gone(upload_with, status):
    upload, _ = upload_with(failing(status))
    with pytest.raises(ObjectNotFoundError, match="the upload is gone") as failure:
        write(upload, 0)
    assert "nobody-may-see" not in str(failure.value)


def test_a_condition_that_does_not_hold_at_the_end(upload_with):
    upload, _ = upload_with(stored(PART), stored(2 * PART), failing(412), condition=IfAbsent())
    write_all(upload)
    with pytest.raises(PreconditionFailedError):
        upload.complete(crc32c(DATA))


@pytest.mark.parametrize(
    "received", [resource(size=SIZE, generation="18", crc32c="AAAAAA=="), resource(size=7, generation="18", crc32c=CRC)]
)
@pytest.mark.parametrize(("removal", "said"), [(Answer(204), "it was removed"), (failing(503), "could not be removed")])
def test_an_object_that_was_damaged_on_its_way_is_removed_again(upload_with, received, removal, said):
    upload, seen = upload_with(stored(PART), stored(2 * PART), received, removal)
    write_all(upload)
    with pytest.raises(UploadCorruptedError, match=said):
        upload.complete(crc32c(DATA))
    upload.abort()
    assert (seen[-1].method, seen[-1].query) == ("DELETE", {"ifGenerationMatch": "18"})


def test_an_object_that_a_server_finished_too_early_is_removed_again(upload_with):
    early = resource(size=MIB, generation="18", crc32c="AAAAAA==")
    upload, seen = upload_with(failing(503), early, Answer(204))
    with pytest.raises(TransientStorageError):
        write(upload, 0)
    with pytest.raises(UploadCorruptedError, match="a part of it for the whole"):
        write(upload, 0)
    assert seen[-1].query == {"ifGenerationMatch": "18"}


def test_abort_ends_the_session_once(upload_with):
    upload, seen = upload_with(Answer(499))
    upload.abort()
    upload.abort()
    assert seen[-1].method == "DELETE"


def test_abort_raises_nothing_and_says_what_stays(upload_with, caplog):
    upload, _ = upload_with(failing(503))
    upload.abort()
    assert "stays behind" in caplog.text
    assert "nobody-may-see" not in caplog.text


def test_a_server_that_opens_no_session():
    with (
        scripted_server(Answer()) as server,
        gcs_store(server, part_size=PART) as store,
        pytest.raises(StorageError, match="opened no upload session"),
    ):
        store.create("key", SIZE, Always())
