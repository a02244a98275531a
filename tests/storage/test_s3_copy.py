"""Copies inside S3: against MinIO and moto, and against a script where no emulator fails as Amazon does."""

from __future__ import annotations

import re
from contextlib import closing

import fsspec
import numpy as np
import pytest
from crc32c import crc32c

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
    StorageTimeoutError,
    TransientStorageError,
    UnsupportedOperationError,
    UploadCorruptedError,
)
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.http.checksum import encoded
from cloudckpt.storage.open import open_location
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.s3 import copy as s3_copy
from cloudckpt.storage.s3.client import S3Client
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, ObjectInfo
from cloudckpt.testing.contract_fixtures import upload_whole
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import HONOURED, error_document, failing, s3_store
from tests.storage.test_s3_upload import COMPLETED, STARTED

MIB = 1 << 20
SOURCE = ObjectInfo("run/a b+ü", 12 * MIB, "etag-of-source", 0.0)
CHECKSUM = "AAAAAA=="
KNOWN = Answer(headers={"x-amz-checksum-crc32c": CHECKSUM, "x-amz-checksum-type": "FULL_OBJECT"})
"""To the HEAD of a source whose checksum the server keeps."""
COPIED = Answer(
    body=b"<CopyObjectResult><ETag>&quot;copy&quot;</ETag></CopyObjectResult>",
    headers={"Date": "Thu, 01 Jan 1970 00:01:00 GMT"},
)
ABORTED = Answer(204)


def part(number, checksum=""):
    kept = f"<ChecksumCRC32C>{checksum}</ChecksumCRC32C>" if checksum else ""
    return Answer(body=f"<CopyPartResult><ETag>&quot;part-{number}&quot;</ETag>{kept}</CopyPartResult>".encode())


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """The smallest parts that S3 takes, one at a time, so that a script can answer them."""
    monkeypatch.setattr(s3_copy, "PART", 5 * MIB)
    monkeypatch.setattr(s3_copy, "_AT_ONCE", 1)


def asked(server):
    """What was asked for, without the probe of the bucket."""
    return [seen for seen in server.seen if ".cloudckpt-probe-" not in seen.path]


def test_a_small_object_without_a_condition_takes_one_request():
    options = {"s3_additional_kwargs": {"ServerSideEncryption": "aws:kms"}}
    source = ObjectInfo(SOURCE.key, 5 * MIB, SOURCE.version, 0.0)
    with scripted_server(COPIED) as server, s3_store(server, **options) as store:
        info = store.copy(source, "run/copy", Always(), commit_id="mine")
        [seen] = server.seen
        bucket = store.url("").split("/")[2]
    assert info == ObjectInfo("run/copy", 5 * MIB, "copy", 60.0, "mine")
    assert (seen.method, seen.query, seen.body) == ("PUT", {}, b"")
    assert seen.headers["x-amz-copy-source"] == f"/{bucket}/run/a%20b%2B%C3%BC"
    assert seen.headers["x-amz-copy-source-if-match"] == '"etag-of-source"'
    assert seen.headers["x-amz-metadata-directive"] == "REPLACE"
    assert seen.headers["x-amz-meta-cloudckpt-commit"] == "mine"
    assert seen.headers["x-amz-server-side-encryption"] == "aws:kms"
    signed = re.search("SignedHeaders=([^,]*)", seen.headers["authorization"])[1].split(";")
    assert {"x-amz-copy-source", "x-amz-copy-source-if-match", "x-amz-metadata-directive"} <= set(signed)


@pytest.mark.parametrize(("condition", "header"), [(IfAbsent(), "if-none-match"), (IfVersion("old"), "if-match")])
def test_a_condition_is_held_by_the_completion(condition, header):
    small = ObjectInfo("source", 1, "etag", 0.0)
    with (
        scripted_server(*HONOURED, KNOWN, STARTED, part(1, CHECKSUM), COMPLETED) as server,
        s3_store(server) as store,
    ):
        info = store.copy(small, "key", condition, commit_id="mine")
        looked, begun, copied, completed = asked(server)
    assert info == ObjectInfo("key", 1, "whole-3", 60.0, "mine")
    assert (looked.method, looked.headers["if-match"]) == ("HEAD", '"etag"')
    assert begun.headers["x-amz-meta-cloudckpt-commit"] == "mine"
    assert "x-amz-copy-source-range" not in copied.headers  # no range is taken of an object below 5 MiB
    assert copied.headers["x-amz-copy-source-if-match"] == '"etag"'
    assert completed.headers[header] == ("*" if header == "if-none-match" else '"old"')
    assert not {"if-match", "if-none-match"} & (begun.headers.keys() | copied.headers.keys())


def test_a_large_object_is_copied_in_parts_with_its_checksum():
    answers = [KNOWN, STARTED, *(part(number, f"sum{number}") for number in (1, 2, 3)), COMPLETED]
    with scripted_server(*answers) as server, s3_store(server) as store:
        store.copy(SOURCE, "key", Always())
        _, begun, *parts, completed = server.seen
    assert begun.headers["x-amz-checksum-algorithm"] == "CRC32C"
    assert [seen.query["partNumber"] for seen in parts] == ["1", "2", "3"]
    ranges = [seen.headers["x-amz-copy-source-range"] for seen in parts]
    assert ranges == ["bytes=0-5242879", "bytes=5242880-10485759", "bytes=10485760-12582911"]
    assert completed.headers["x-amz-checksum-crc32c"] == CHECKSUM
    assert completed.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert b'<ETag>"part-2"</ETag><ChecksumCRC32C>sum2</ChecksumCRC32C>' in completed.body


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-amz-checksum-crc32c": CHECKSUM, "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-crc32c": CHECKSUM + "-3"},
        {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="},
    ],
)
def test_without_a_checksum_of_the_whole_source_none_is_asked_for(headers):
    answers = [Answer(headers=headers), STARTED, part(1), part(2), part(3), COMPLETED]
    with scripted_server(*answers) as server, s3_store(server) as store:
        store.copy(SOURCE, "key", Always())
        assert not any("x-amz-checksum-crc32c" in seen.headers for seen in server.seen)
        assert "x-amz-checksum-algorithm" not in server.seen[1].headers
        assert b"Checksum" not in server.seen[-1].body


def test_a_copy_whose_time_is_over_is_aborted():
    """Without its upload: that would cost storage until it is collected."""

    def judge(seen):
        if seen.method == "HEAD":
            return KNOWN
        if seen.method == "DELETE":
            return ABORTED
        return STARTED if seen.method == "POST" else Answer(hang=True)

    with scripted_server(by=judge) as server, s3_store(server) as store:
        store._client.access  # noqa: B018 - botocore takes its time to read its files
        with time_limit(2), pytest.raises(StorageTimeoutError):
            store.copy(SOURCE, "key", Always())
        assert [(seen.method, seen.query) for seen in asked(server)][-1] == ("DELETE", {"uploadId": "upload & id"})


def test_a_server_that_computes_no_checksum_of_copied_parts_is_asked_once():
    again = [STARTED, part(1), part(2), part(3), COMPLETED]
    small = ObjectInfo("source", 7, "etag", 0.0)
    refusal = [KNOWN, STARTED, failing(400, "InvalidArgument"), ABORTED, STARTED, part(1), COMPLETED]
    with scripted_server(*HONOURED, *refusal, *again) as server, s3_store(server) as store:
        store.copy(small, "key", IfAbsent())
        store.copy(SOURCE, "another", Always())
        methods = [seen.method for seen in asked(server)]
    assert methods == ["HEAD", "POST", "PUT", "DELETE", "POST", "PUT", "POST", "POST", "PUT", "PUT", "PUT", "POST"]


@pytest.mark.parametrize(
    ("refusals", "error"),
    [
        ([failing(400, "ExpiredToken")], PermissionDeniedError),
        ([failing(400, "InvalidArgument"), ABORTED, STARTED, failing(400, "InvalidArgument")], StorageError),
    ],
    ids=["another error", "not about the checksum"],
)
def test_another_error_does_not_end_checksums(refusals, error):
    small = ObjectInfo("source", 7, "etag", 0.0)
    again = [KNOWN, STARTED, part(1, CHECKSUM), COMPLETED]
    with (
        scripted_server(*HONOURED, KNOWN, STARTED, *refusals, ABORTED, *again) as server,
        s3_store(server) as store,
    ):
        with pytest.raises(error):
            store.copy(small, "key", IfAbsent())
        store.copy(small, "key", IfAbsent())
        assert server.seen[-1].headers["x-amz-checksum-crc32c"] == CHECKSUM


@pytest.mark.parametrize(
    ("answer", "error", "about"),
    [
        (failing(412, "PreconditionFailed"), ObjectChangedError, "source"),
        (failing(404, "NoSuchKey"), ObjectNotFoundError, "source"),
        (Answer(body=error_document("NoSuchKey")), ObjectNotFoundError, "source"),
        (Answer(body=error_document("PreconditionFailed")), ObjectChangedError, "source"),
        (failing(404, "NoSuchBucket"), ObjectNotFoundError, "key"),
        (failing(403, "AccessDenied"), PermissionDeniedError, "key"),
        (failing(400, "InvalidRequest"), StorageError, "key"),
        (failing(409, "OperationAborted"), TransientStorageError, "key"),
        (failing(501, "NotImplemented"), UnsupportedOperationError, "key"),
        (failing(503, "SlowDown"), TransientStorageError, "key"),
        (Answer(body=b"   \n" + error_document("InternalError").partition(b"?>")[2]), TransientStorageError, "key"),
        (Answer(body=b"<CopyObj"), TransientStorageError, "key"),
        (Answer(body=b""), TransientStorageError, "key"),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_what_the_answers_to_a_copy_mean(answer, error, about, in_parts):
    def scripted(seen):
        return {"HEAD": Answer(), "POST": STARTED, "PUT": answer, "DELETE": ABORTED}[seen.method]

    source = ObjectInfo("source", 5 * MIB + in_parts, "etag", 0.0)
    with scripted_server(by=scripted) as server, s3_store(server) as store:
        with pytest.raises(StorageError) as failure:
            store.copy(source, "key", Always())
        assert type(failure.value) is error
        assert failure.value.path == store.url(about)
        assert server.seen[-1].method == ("DELETE" if in_parts else "PUT")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failing(412, "PreconditionFailed"), PreconditionFailedError),
        (failing(409, "ConditionalRequestConflict"), TransientStorageError),
        (Answer(body=error_document("PreconditionFailed")), PreconditionFailedError),
        (Answer(body=error_document("InternalError")), TransientStorageError),
        (failing(400, "BadDigest"), UploadCorruptedError),
    ],
)
def test_a_copy_that_is_not_completed_leaves_no_parts(answer, error):
    answers = [*HONOURED, KNOWN, STARTED, part(1, CHECKSUM), answer, ABORTED]
    with scripted_server(*answers) as server, s3_store(server) as store:
        with pytest.raises(error) as failure:
            store.copy(ObjectInfo("source", 7, "etag", 0.0), "key", IfAbsent())
        assert failure.value.path == store.url("key")
        assert server.seen[-1].method == "DELETE"


def test_a_conflict_of_two_writers_is_tried_again():
    once = [STARTED, part(1, CHECKSUM)]
    conflict = failing(409, "ConditionalRequestConflict")
    answers = [*HONOURED, KNOWN, *once, conflict, ABORTED, KNOWN, *once, COMPLETED]
    with (
        scripted_server(*answers) as server,
        RetryingStore(s3_store(server), sleep=lambda _: None) as store,
    ):
        info = store.copy(ObjectInfo("source", 7, "etag", 0.0), "key", IfAbsent())
        begun = [seen.headers["x-amz-meta-cloudckpt-commit"] for seen in asked(server) if seen.query == {"uploads": ""}]
    assert (info.version, len(set(begun)), begun[0]) == ("whole-3", 1, info.commit_id)


def test_a_lost_completion_is_recognised_by_its_commit_id():
    def answer(seen):
        if seen.method == "HEAD":
            stored = {"Content-Length": "7", "ETag": '"whole"', "x-amz-meta-cloudckpt-commit": "mine"}
            return Answer(headers=stored if seen.path.endswith("/key") else dict(KNOWN.headers))
        if seen.method == "DELETE":
            return failing(404, "NoSuchUpload")
        if seen.method == "PUT":
            return part(1, CHECKSUM)
        if "uploads" in seen.query:
            return STARTED
        completions.append(seen)
        return Answer(drop=True) if len(completions) == 1 else failing(412, "PreconditionFailed")

    completions = []
    with (
        scripted_server(by=answer) as server,
        closing(s3_store(server)) as inner,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("cloudckpt.storage.s3.store.honours_conditions", lambda *_: True)
        store = RetryingStore(inner, sleep=lambda _: None)
        info = store.copy(ObjectInfo("source", 7, "etag", 0.0), "key", IfAbsent(), commit_id="mine")
    assert (info.version, info.commit_id, len(completions)) == ("whole", "mine", 2)


def test_an_empty_object_has_no_part_to_copy():
    empty = ObjectInfo("source", 0, "etag", 0.0)
    with (
        scripted_server(*HONOURED, Answer(), Answer(headers={"ETag": '"new"'})) as server,
        s3_store(server) as store,
    ):
        assert store.copy(empty, "key", IfAbsent()).version == "new"
        looked, written = asked(server)
    assert (looked.method, looked.headers["if-match"]) == ("HEAD", '"etag"')
    assert (written.headers["if-none-match"], written.headers["content-length"]) == ("*", "0")


@pytest.mark.parametrize("condition", [Always(), IfAbsent()])
def test_many_parts_side_by_side_on_a_real_server(minio, monkeypatch, condition):
    monkeypatch.setattr(s3_copy, "_AT_ONCE", 4)
    data = np.random.default_rng(0).bytes(26 * MIB + 5)
    with open_location(minio.fresh_url(), minio.storage_options) as location:
        store, source, key = location.store, location.child("source").key, location.child("copy").key
        info = store.put(source, data, Always(), crc32c=crc32c(data))
        copied = store.copy(info, key, condition)
        assert store.get(key)[0] == data
        assert store.stat(key).version == copied.version
        assert copied.version.endswith("-6")


def test_the_checksum_is_not_lost_by_a_whole_copy(minio):
    assert checksum_of_copy(minio, b"some bytes", Always()) == encoded(crc32c(b"some bytes"))


def test_the_checksum_is_not_lost_by_a_copy_in_parts(moto_s3):
    data = np.random.default_rng(0).bytes(5 * MIB + 1)
    assert checksum_of_copy(moto_s3, data, IfAbsent()) == encoded(crc32c(data))


def checksum_of_copy(server, data, condition):
    """What the server keeps of a copy; moto keeps nothing of a single PUT."""
    with open_location(server.fresh_url(), {**server.storage_options, "part_size": 5 * MIB}) as location:
        info = upload_whole(location.store, location.child("source").key, data)
        location.store.copy(info, location.key, condition)
        client = S3Client(server.bucket, fsspec.filesystem("s3", **server.storage_options))
        answer = client.request("HEAD", location.key, headers={"x-amz-checksum-mode": "ENABLED"})
        client.close()
        return answer.headers["x-amz-checksum-crc32c"]
