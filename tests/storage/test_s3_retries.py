"""S3 behind its retries, on a scripted server: what Amazon does and no emulator shows, from end to end."""

from __future__ import annotations

import pytest
from crc32c import crc32c

from cloudckpt.errors import (
    CommitUnknownError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
)
from cloudckpt.storage.attempts import LONGEST_WAIT
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, ObjectInfo
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import HONOURED, error_document, failing, s3_store
from tests.storage.test_s3_upload import COMPLETED, DATA, PART, PARTS, STARTED, STORED

CONFLICT = failing(409, "ConditionalRequestConflict")
MINE = {"x-amz-meta-cloudckpt-commit": "mine", "ETag": '"mine"', "Content-Length": str(len(DATA))}
THEIRS = {**MINE, "x-amz-meta-cloudckpt-commit": "theirs"}
LATE = [Answer(body=b"\n" + error_document(code).partition(b"?>")[2]) for code in ("InternalError", "SlowDown")]
LOST = Answer(body=b"\n" + error_document("PreconditionFailed").partition(b"?>")[2])
WRITTEN = Answer(headers={"ETag": '"e"'})
COPIED = Answer(body=b"<CopyObjectResult><ETag>&quot;copy&quot;</ETag></CopyObjectResult>")


@pytest.fixture
def waits():
    return []


@pytest.fixture
def retrying(waits):
    def make(server, **options):
        return RetryingStore(s3_store(server, part_size=PART, **options), sleep=waits.append)

    return make


def upload(store, condition):
    with store.create("run/key", len(DATA), condition, commit_id="mine") as parts:
        for offset, part in PARTS:
            parts.write(offset, [part], crc32c(part))
        return parts.complete(crc32c(DATA))


def put(store, condition):
    return store.put("run/key", b"data", condition, crc32c=crc32c(b"data"), commit_id="mine")


def methods(server, skip=0):
    return [seen.method for seen in server.seen[skip:]]


@pytest.mark.parametrize("condition", [IfAbsent(), IfVersion("old")])
def test_a_conflict_of_two_writes_at_once_is_tried_again(retrying, waits, condition):
    with scripted_server(*HONOURED, CONFLICT, CONFLICT, WRITTEN) as server, retrying(server) as store:
        assert put(store, condition).version == "e"
    assert len(waits) == 2


def test_a_conflict_that_the_other_wins_is_lost(retrying):
    answers = [*HONOURED, CONFLICT, failing(412, "PreconditionFailed"), Answer(headers=THEIRS)]
    with scripted_server(*answers) as server, retrying(server) as store, pytest.raises(PreconditionFailedError):
        put(store, IfAbsent())


def test_a_conflict_when_it_completes_is_tried_again(retrying):
    answers = [*HONOURED, STARTED, *STORED, CONFLICT, COMPLETED]
    with scripted_server(*answers) as server, retrying(server) as store:
        assert upload(store, IfAbsent()).version == "whole-3"


def test_an_error_inside_a_200_is_tried_again(retrying):
    with scripted_server(STARTED, *STORED, *LATE, COMPLETED) as server, retrying(server) as store:
        assert upload(store, Always()).version == "whole-3"


def test_a_lost_race_inside_a_200_aborts_the_upload(retrying):
    answers = [*HONOURED, STARTED, *STORED, LOST, Answer(204), Answer(headers=THEIRS)]
    with scripted_server(*answers) as server, retrying(server) as store:
        with pytest.raises(PreconditionFailedError):
            upload(store, IfAbsent())
        aborts = [seen for seen in server.seen if seen.method == "DELETE" and seen.query]
        assert [seen.query for seen in aborts] == [{"uploadId": "upload & id"}]


@pytest.mark.parametrize("gone", [failing(404, "NoSuchUpload"), failing(412, "PreconditionFailed")])
def test_a_completion_whose_answer_was_lost_is_recognised(retrying, gone):
    answers = [*HONOURED, STARTED, *STORED, Answer(drop=True), gone]
    answers += [Answer(204)] * (gone.status == 412) + [Answer(headers=MINE)]
    with scripted_server(*answers) as server, retrying(server) as store:
        info = upload(store, IfAbsent())
    assert (info.version, info.commit_id, info.size) == ("mine", "mine", len(DATA))


@pytest.mark.parametrize("gone", [failing(404, "NoSuchUpload"), failing(412, "PreconditionFailed")])
def test_a_completion_whose_answer_was_lost_and_that_lost(retrying, gone):
    answers = [*HONOURED, STARTED, *STORED, Answer(drop=True), gone]
    answers += [Answer(204)] * (gone.status == 412)
    answers += [Answer(headers=THEIRS)] + [failing(404, "NoSuchUpload")] * (gone.status == 404)
    with scripted_server(*answers) as server, retrying(server) as store, pytest.raises(PreconditionFailedError):
        upload(store, IfAbsent())


def test_a_completion_of_which_nothing_can_be_found_out_is_unknown(retrying):
    answers = [*HONOURED, STARTED, *STORED, Answer(drop=True), failing(404, "NoSuchUpload"), failing(404), failing(404)]
    answers += [failing(404, "NoSuchUpload")]
    with scripted_server(*answers) as server, retrying(server) as store, pytest.raises(CommitUnknownError):
        upload(store, IfAbsent())


@pytest.mark.parametrize("late", LATE)
def test_an_error_inside_a_200_of_a_copy_is_tried_again(retrying, late):
    source = ObjectInfo("source", 100, "etag", 0.0)
    with scripted_server(late, COPIED) as server, retrying(server) as store:
        assert store.copy(source, "run/key", Always()).version == "copy"
        assert methods(server) == ["PUT", "PUT"]


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (failing(500, "InternalError"), None),
        (failing(503, "SlowDown"), None),
        (failing(503, "SlowDown", **{"Retry-After": "7"}), 7.0),
        (failing(429, **{"Retry-After": "3600"}), LONGEST_WAIT),
        (failing(408), None),
        (failing(502), None),
        (failing(504), None),
        (Answer(drop=True), None),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le"), None),
    ],
)
def test_what_may_pass_is_tried_again(retrying, waits, answer, wait):
    found = Answer(body=b"data", headers=MINE | {"Content-Length": "4"})
    with scripted_server(answer, answer, found) as server, retrying(server) as store:
        assert store.get("key")[0] == b"data"
    assert len(waits) == 2
    assert wait is None or waits == [wait, wait]


@pytest.mark.parametrize(
    ("answer", "error"),
    [(failing(403, "AccessDenied"), PermissionDeniedError), (failing(404, "NoSuchKey"), ObjectNotFoundError)],
)
def test_what_will_not_pass_is_raised_at_once(retrying, waits, answer, error):
    with scripted_server(answer) as server, retrying(server) as store, pytest.raises(error):
        store.get("key")
    assert waits == []


def test_an_etag_is_no_digest_of_the_bytes(retrying):
    """With SSE-KMS it is anything; what is compared is our own checksum, and the commit id."""
    answers = [Answer(headers={"ETag": '"anything"'}), Answer(body=b"data", headers={"ETag": '"anything"'})]
    with scripted_server(*answers) as server, retrying(server) as store:
        info = put(store, Always())
        data, found = store.get("run/key")
    assert (info.version, found.version, data) == ("anything", "anything", b"data")
