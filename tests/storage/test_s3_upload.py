"""Multipart uploads: against MinIO, and against a script where no emulator fails as Amazon does."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import botocore.session
import fsspec
import numpy as np
import pytest
from crc32c import crc32c

from cloudckpt.checksums import combine
from cloudckpt.errors import (
    InvalidArgumentError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientStorageError,
    UploadCorruptedError,
)
from cloudckpt.storage.open import open_location
from cloudckpt.storage.s3.multipart import LARGEST_OBJECT, LARGEST_PART, PART_SIZE, SMALLEST_PART, part_size_of
from cloudckpt.storage.s3.store import S3Store
from cloudckpt.storage.store import Always, IfAbsent
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import error_document, failing
from tests.storage.test_s3 import s3_store as any_s3_store

MIB = 1 << 20
PART = 5 * MIB
DATA = memoryview(np.random.default_rng(0).bytes(2 * PART + 5))
PARTS = [(offset, DATA[offset : offset + PART]) for offset in range(0, len(DATA), PART)]
STARTED = Answer(
    body=b"<InitiateMultipartUploadResult><UploadId>upload &amp; id</UploadId></InitiateMultipartUploadResult>"
)
STORED = [Answer(headers={"ETag": f'"part-{number}"'}) for number in (1, 2, 3)]
COMPLETED = Answer(
    body=b"<CompleteMultipartUploadResult><ETag>&quot;whole-3&quot;</ETag></CompleteMultipartUploadResult>",
    headers={"Date": "Thu, 01 Jan 1970 00:01:00 GMT"},
)


def s3_store(server, **options):
    return any_s3_store(server, part_size=PART, **options)


def write_all(upload):
    for offset, part in PARTS:
        upload.write(offset, [part[:1000], part[1000:]], crc32c(part))


@pytest.mark.parametrize(
    ("size", "wanted", "part_size"),
    [
        (0, PART_SIZE, PART_SIZE),
        (1, PART_SIZE, PART_SIZE),
        (160_000 * MIB, 16 * MIB, 16 * MIB),
        (160_000 * MIB + 1, 16 * MIB, 17 * MIB),
        (170_000 * MIB, 16 * MIB, 17 * MIB),
        (170_000 * MIB + 1, 16 * MIB, 18 * MIB),
        (50_000 * MIB, SMALLEST_PART, 5 * MIB),
        (50_000 * MIB + 1, SMALLEST_PART, 6 * MIB),
        (LARGEST_OBJECT, PART_SIZE, 525 * MIB),
        (LARGEST_OBJECT, LARGEST_PART, LARGEST_PART),
        (MIB, 7 * MIB + 1, 7 * MIB + 1),
    ],
)
def test_parts_are_as_large_as_ten_thousand_of_them_need(size, wanted, part_size):
    assert part_size_of(size, "s3://bucket/key", wanted) == part_size
    assert -(-size // part_size) <= 10_000
    assert part_size <= LARGEST_PART


def test_an_object_that_is_too_large_is_refused_before_anything_is_sent():
    with scripted_server() as server, s3_store(server) as store:
        with pytest.raises(StorageError, match=r"/run/key: it would have 5497558138881 bytes.*5 TiB"):
            store.create("run/key", LARGEST_OBJECT + 1, IfAbsent())
        assert server.seen == []


@pytest.mark.parametrize("part_size", [0, -1, SMALLEST_PART - 1, LARGEST_PART + 1])
def test_parts_that_s3_would_refuse_are_refused_at_once(part_size):
    with pytest.raises(InvalidArgumentError, match=r"5242880 \(5 MiB\)"):
        S3Store("bucket", None, part_size=part_size)


def test_the_option_part_size_reaches_the_server():
    options = {"key": "a", "secret": "b", "part_size": 6 * MIB, "max_retry_seconds": 0}
    parts = [Answer(headers={"ETag": '"part"'})] * 2
    with scripted_server(STARTED, *parts, COMPLETED) as server:
        url = f"s3://{uuid.uuid4().hex}/key"
        with open_location(url, {**options, "endpoint_url": server.url, "skip_instance_cache": True}) as location:
            data = DATA[: 10 * MIB]
            with location.store.create(location.key, len(data), Always()) as upload:
                for start in range(0, len(data), upload.part_size):
                    part = data[start : start + upload.part_size]
                    upload.write(start, [part], crc32c(part))
                upload.complete(crc32c(data))
    assert [len(seen.body) for seen in server.seen[1:3]] == [6 * MIB, 4 * MIB]


def test_what_is_sent():
    with (
        scripted_server(STARTED, *STORED, COMPLETED) as server,
        s3_store(server) as store,
        store.create("run/key", len(DATA), Always(), commit_id="mine") as upload,
    ):
        assert upload.part_size == PART
        write_all(upload)
        info = upload.complete(crc32c(DATA))
    created, *parts, completed = server.seen
    assert (info.version, info.size, info.modified, info.commit_id) == ("whole-3", len(DATA), 60.0, "mine")
    assert (created.method, created.query) == ("POST", {"uploads": ""})
    assert created.headers["x-amz-checksum-algorithm"] == "CRC32C"
    assert created.headers["x-amz-checksum-type"] == completed.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert created.headers["x-amz-meta-cloudckpt-commit"] == "mine"
    assert b"".join(part.body for part in parts) == DATA
    assert [part.query for part in parts] == [{"partNumber": str(n), "uploadId": "upload & id"} for n in (1, 2, 3)]
    assert b'<PartNumber>3</PartNumber><ETag>"part-3"</ETag>' in completed.body
    assert (
        len({part.headers["x-amz-checksum-crc32c"] for part in parts} | {completed.headers["x-amz-checksum-crc32c"]})
        == 4
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [("InternalError", TransientStorageError), ("SlowDown", TransientStorageError), ("AccessDenied", StorageError)],
)
def test_an_error_inside_a_200_is_an_error(code, error):
    answers = [STARTED, *STORED, Answer(body=b"  \n" + error_document(code).partition(b"?>")[2]), COMPLETED]
    with (
        scripted_server(*answers) as server,
        s3_store(server) as store,
        store.create("key", len(DATA), Always()) as upload,
    ):
        write_all(upload)
        with pytest.raises(error, match=code):
            upload.complete(crc32c(DATA))
        assert upload.complete(crc32c(DATA)).version == "whole-3"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(body=error_document("PreconditionFailed")), PreconditionFailedError),
        (failing(412, "PreconditionFailed"), PreconditionFailedError),
        (failing(400, "BadDigest"), UploadCorruptedError),
    ],
)
def test_a_losing_upload_leaves_no_parts(answer, error):
    with scripted_server(STARTED, *STORED, answer, Answer(204)) as server, s3_store(server) as store:
        upload = store.create("key", len(DATA), Always())
        write_all(upload)
        with pytest.raises(error):
            upload.complete(crc32c(DATA))
        upload.abort()
        assert (server.seen[-1].method, server.seen[-1].query) == ("DELETE", {"uploadId": "upload & id"})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failing(409, "ConditionalRequestConflict"), TransientStorageError),
        (failing(404, "NoSuchUpload"), ObjectNotFoundError),
        (Answer(drop=True), TransientStorageError),
        (Answer(body=COMPLETED.body, cut=20), TransientStorageError),
        (Answer(body=b"<html>"), TransientStorageError),
    ],
)
def test_other_failures_to_complete(answer, error):
    with (
        scripted_server(STARTED, *STORED, answer, failing(404, "NoSuchUpload")) as server,
        s3_store(server) as store,
        store.create("key", len(DATA), Always()) as upload,
    ):
        write_all(upload)
        with pytest.raises(error):
            upload.complete(crc32c(DATA))


def test_a_part_that_the_server_got_otherwise_is_found_by_its_answer():
    otherwise = Answer(headers={"ETag": '"part"', "x-amz-checksum-crc32c": "AAAAAA=="})
    with (
        scripted_server(STARTED, otherwise, Answer(204)) as server,
        s3_store(server) as store,
        store.create("key", len(DATA), Always()) as upload,
        pytest.raises(UploadCorruptedError, match="part 1"),
    ):
        upload.write(0, [PARTS[0][1]], crc32c(PARTS[0][1]))


def test_a_part_that_failed_may_be_sent_again():
    with (
        scripted_server(STARTED, failing(503), *STORED, COMPLETED) as server,
        s3_store(server) as store,
        store.create("key", len(DATA), Always()) as upload,
    ):
        with pytest.raises(TransientStorageError):
            upload.write(0, [PARTS[0][1]], crc32c(PARTS[0][1]))
        write_all(upload)
        upload.complete(crc32c(DATA))


def test_an_upload_with_parts_missing_is_not_completed():
    with (
        scripted_server(STARTED, STORED[0], Answer(204)) as server,
        s3_store(server) as store,
        store.create("key", len(DATA), Always()) as upload,
    ):
        upload.write(0, [PARTS[0][1]], crc32c(PARTS[0][1]))
        with pytest.raises(StorageError, match="1 of its 3 parts"):
            upload.complete(crc32c(DATA))


def test_an_upload_that_was_not_answered_is_not_begun():
    with (
        scripted_server(Answer(body=b"<html>")) as server,
        s3_store(server) as store,
        pytest.raises(TransientStorageError, match="can't be read"),
    ):
        store.create("key", len(DATA), Always())


def test_abort_raises_nothing_and_says_what_stays(caplog):
    with scripted_server(STARTED, failing(503)) as server, s3_store(server) as store:
        store.create("key", len(DATA), Always()).abort()
    assert "an unfinished upload stays behind" in caplog.text


@pytest.fixture
def store(minio):
    with S3Store(minio.bucket, fsspec.filesystem("s3", **minio.storage_options), part_size=PART) as store:
        yield store


@pytest.fixture
def key(minio):
    return f"{uuid.uuid4().hex}/key"


def unfinished(server, key):
    client = botocore.session.Session().create_client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    found = client.list_multipart_uploads(Bucket=server.bucket, Prefix=key).get("Uploads", [])
    client.close()
    return found


def test_parts_side_by_side_in_any_order(store, key):
    with store.create(key, len(DATA), IfAbsent(), commit_id="mine") as upload, ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda part: upload.write(part[0], [part[1]], crc32c(part[1])), PARTS[::-1]))
        whole = reduce(lambda crc, part: combine(crc, crc32c(part[1]), len(part[1])), PARTS, 0)
        info = upload.complete(whole)
    assert store.stat(key).commit_id == "mine"
    out = bytearray(len(DATA))
    store.read(key, 0, [memoryview(out)], info.version)
    assert out == DATA


@pytest.mark.parametrize("wrong", ["part", "whole", "condition"])
def test_nothing_stays_of_an_upload_that_failed(store, key, minio, wrong):
    with (
        pytest.raises((UploadCorruptedError, PreconditionFailedError)),
        store.create(key, len(DATA), IfAbsent()) as upload,
    ):
        assert unfinished(minio, key)
        for offset, part in PARTS:
            upload.write(offset, [part], crc32c(part) ^ (wrong == "part"))
        if wrong == "condition":
            store.put(key, b"first", Always(), crc32c=crc32c(b"first"))
        upload.complete(crc32c(DATA) ^ (wrong == "whole"))
    assert unfinished(minio, key) == []
    assert [info.size for info in store.list(key)] == ([5] if wrong == "condition" else [])
