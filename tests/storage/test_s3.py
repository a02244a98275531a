"""S3Store against a scripted server, for what no emulator shows; the contract covers what they do."""

from __future__ import annotations

import base64
import hashlib
import uuid

import fsspec
import pytest
from crc32c import crc32c

from cloudckpt.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    ShortReadError,
    SingleWriterWarning,
    StorageError,
    TransientStorageError,
    UnsupportedOperationError,
    UploadCorruptedError,
)
from cloudckpt.storage.s3.multipart import PART_SIZE
from cloudckpt.storage.s3.probe import PROBE_PREFIX
from cloudckpt.storage.s3.store import S3Store
from cloudckpt.storage.store import Always, IfAbsent, IfVersion
from tests.storage.scripted_server import Answer, scripted_server

SECRET = "secret-that-nobody-may-see"
HONOURED = [Answer(200), Answer(412), Answer(204)]
"""To the probe, of a server that honours conditions."""


def error_document(code, message="as scripted", **fields):
    extra = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error>".encode()


def failing(status, code="", **headers):
    return Answer(status, error_document(code) if code else b"", headers)


def s3_store(server, part_size=PART_SIZE, **options):
    """A store of a bucket that no other test uses: what the probe found is remembered by bucket."""
    known = {"key": "access", "secret": SECRET, "endpoint_url": server.url, "skip_instance_cache": True}
    filesystem = fsspec.filesystem("s3", **(known | options))
    return S3Store(f"bucket-{uuid.uuid4().hex[:8]}", filesystem, part_size=part_size)


def put(store, key, data=b"data", condition=Always(), **fields):  # noqa: B008 - a frozen value
    return store.put(key, data, condition, crc32c=crc32c(data), **fields)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", PermissionDeniedError),
        (403, "SignatureDoesNotMatch", PermissionDeniedError),
        (400, "ExpiredToken", PermissionDeniedError),
        (401, "", PermissionDeniedError),
        (404, "NoSuchBucket", ObjectNotFoundError),
        (404, "NoSuchKey", PreconditionFailedError),
        (412, "PreconditionFailed", PreconditionFailedError),
        (409, "ConditionalRequestConflict", TransientStorageError),
        (400, "BadDigest", UploadCorruptedError),
        (400, "XAmzContentChecksumMismatch", UploadCorruptedError),
        (400, "RequestTimeout", TransientStorageError),
        (400, "EntityTooLarge", StorageError),
        (429, "", TransientStorageError),
        (500, "InternalError", TransientStorageError),
        (503, "SlowDown", TransientStorageError),
        (504, "", TransientStorageError),
        (501, "NotImplemented", UnsupportedOperationError),
        (301, "PermanentRedirect", StorageError),
    ],
)
def test_what_the_answers_to_a_write_mean(status, code, error):
    with scripted_server(failing(status, code)) as server, s3_store(server) as store:
        with pytest.raises(StorageError) as failure:
            put(store, "folder/key")
        message = str(failure.value)
        assert type(failure.value) is error
        assert failure.value.path == store.url("folder/key")
        assert all(part in message for part in (store.url("folder/key"), str(status), code))
        assert not any(hidden in message for hidden in (SECRET, "Signature=", "x-amz", "AWS4-HMAC"))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "NoSuchKey", ObjectNotFoundError),
        (404, "NoSuchBucket", ObjectNotFoundError),
        (404, "", ObjectNotFoundError),
        (412, "PreconditionFailed", ObjectChangedError),
        (416, "InvalidRange", ShortReadError),
        (503, "SlowDown", TransientStorageError),
    ],
)
def test_what_the_answers_to_a_read_mean(status, code, error):
    with scripted_server(failing(status, code)) as server, s3_store(server) as store:
        with pytest.raises(StorageError) as failure:
            store.read("key", 0, [memoryview(bytearray(4))], "etag")
        assert type(failure.value) is error
        assert ("no such bucket" in str(failure.value)) is (status == 404 and code != "NoSuchKey")
        assert server.seen[0].headers["if-match"] == '"etag"'


def test_the_server_says_how_long_to_wait():
    with (
        scripted_server(failing(503, "SlowDown", **{"Retry-After": "7"})) as server,
        s3_store(server) as store,
        pytest.raises(TransientStorageError) as failure,
    ):
        store.stat("key")
    assert failure.value.retry_after == 7.0


def test_a_put_carries_checksum_commit_id_and_signature():
    with scripted_server(Answer(headers={"ETag": '"abc"', "Date": "Thu, 01 Jan 1970 00:01:00 GMT"})) as server:
        with s3_store(server, token="session") as store:
            info = put(store, "a/b c+ü%", b"hello", commit_id="mine")
        headers = server.seen[0].headers
    assert (info.version, info.size, info.modified, info.commit_id) == ("abc", 5, 60.0, "mine")
    assert server.seen[0].path.endswith("/a/b c+ü%")
    assert headers["x-amz-checksum-crc32c"] == base64.b64encode(crc32c(b"hello").to_bytes(4, "big")).decode()
    assert headers["x-amz-meta-cloudckpt-commit"] == "mine"
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert headers["x-amz-security-token"] == "session"
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-amz-checksum-crc32c", "x-amz-meta-cloudckpt-commit", "x-amz-security-token"} <= set(signed)


def test_the_options_of_s3fs_become_headers():
    options = {
        "requester_pays": True,
        "s3_additional_kwargs": {"ServerSideEncryption": "aws:kms", "StorageClass": "STANDARD_IA", "Unknown": 1},
    }
    with scripted_server(Answer(), Answer()) as server, s3_store(server, **options) as store:
        put(store, "key")
        store.stat("key")
        written, read = (seen.headers for seen in server.seen)
    assert written["x-amz-server-side-encryption"] == "aws:kms"
    assert written["x-amz-storage-class"] == "STANDARD_IA"
    assert written["x-amz-request-payer"] == read["x-amz-request-payer"] == "requester"
    assert "x-amz-storage-class" not in read


def test_anonymous_requests_are_not_signed():
    with scripted_server(Answer(body=b"data")) as server:
        with s3_store(server, anon=True, key=None, secret=None) as store:
            assert store.get("key")[0] == b"data"
        assert "authorization" not in server.seen[0].headers


def test_no_credentials_are_an_error_before_any_request():
    with (
        scripted_server() as server,
        s3_store(server, key=None, secret=None) as store,
        pytest.raises(PermissionDeniedError, match="no credentials found; set AWS_ACCESS_KEY_ID"),
    ):
        store.stat("key")


def test_a_key_of_ones_own_is_not_sent_in_the_clear():
    options = {"s3_additional_kwargs": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": SECRET}}
    with scripted_server() as server, s3_store(server, **options) as store:
        with pytest.raises(UnsupportedOperationError, match="SSE-C") as failure:
            put(store, "key")
        assert SECRET not in str(failure.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(301, headers={"x-amz-bucket-region": "eu-west-3"}),
        Answer(307, headers={"x-amz-bucket-region": "eu-west-3"}),
        Answer(400, error_document("AuthorizationHeaderMalformed", Region="eu-west-3")),
    ],
)
def test_the_right_region_is_learnt_once(answer):
    with scripted_server(answer, Answer(), Answer()) as server, s3_store(server) as store:
        put(store, "key")
        put(store, "key")
        regions = [seen.headers["authorization"].split("/")[2] for seen in server.seen]
        assert [seen.body for seen in server.seen] == [b"data"] * 3
    assert regions == ["us-east-1", "eu-west-3", "eu-west-3"]


@pytest.mark.parametrize("region", ["", "us-east-1", "evil.example.com/", "x" * 9])
def test_a_redirect_goes_no_further_than_a_region(region):
    elsewhere = Answer(301, headers={"x-amz-bucket-region": region, "Location": "http://evil.example.com/"})
    answers = [elsewhere] * (2 if region == "x" * 9 else 1)
    with (
        scripted_server(*answers) as server,
        s3_store(server) as store,
        pytest.raises(StorageError, match="region_name"),
    ):
        put(store, "key")


def listing(*entries, token=None, encoded=True):
    contents = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>&quot;{tag}&quot;</ETag>"
        "<LastModified>1970-01-01T00:01:00.789Z</LastModified></Contents>"
        for key, size, tag in entries
    )
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    how = "<EncodingType>url</EncodingType>" if encoded else ""
    return Answer(
        body=f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{how}{more}{contents}'
        "<CommonPrefixes><Prefix>p/folder/</Prefix></CommonPrefixes></ListBucketResult>".encode()
    )


def test_a_listing_goes_by_pages_and_decodes_keys():
    pages = [listing(("p/a+b%2Bc", 1, "x"), token="t+/="), listing(("p/%C3%BC", 2, "y"))]
    with scripted_server(*pages) as server, s3_store(server) as store:
        found = list(store.list("p/"))
        assert [seen.query.get("continuation-token") for seen in server.seen] == [None, "t+/="]
        assert server.seen[0].query["prefix"] == "p/"
    assert [(info.key, info.size, info.version) for info in found] == [("p/a b+c", 1, "x"), ("p/ü", 2, "y")]
    assert {info.modified for info in found} == {60.0}


def test_a_listing_of_a_server_that_encodes_nothing():
    with scripted_server(listing(("p/a+b", 1, "x"), encoded=False)) as server, s3_store(server) as store:
        assert [info.key for info in store.list("p/")] == ["p/a+b"]


def test_a_listing_hides_probes():
    page = listing((f"p/{PROBE_PREFIX}0123", 0, "x"), ("p/a", 1, "y"), (f"{PROBE_PREFIX}1", 0, "x"))
    with scripted_server(page) as server, s3_store(server) as store:
        assert [info.key for info in store.list("")] == ["p/a"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<html><body>It works!</body></html>",
        error_document("InternalError"),
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>",
        listing(("k", "many", "e")).body,
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    ],
)
def test_a_listing_that_is_none(body):
    with (
        scripted_server(Answer(body=body)) as server,
        s3_store(server) as store,
        pytest.raises(StorageError, match="is the endpoint an S3 server"),
    ):
        list(store.list("p/"))


def test_a_read_fills_the_buffers_in_order():
    out = bytearray(6)
    view = memoryview(out)
    answer = Answer(206, b"456789", {"Content-Range": "bytes 4-9/10"})
    with scripted_server(answer) as server, s3_store(server) as store:
        store.read("key", 4, [view[:2], view[2:2], view[2:]])
        assert server.seen[0].headers["range"] == "bytes=4-9"
        assert "if-match" not in server.seen[0].headers
    assert out == b"456789"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(206, b"4567", {"Content-Range": "bytes 4-7/8"}), ShortReadError),
        (Answer(206, b"456789", {"Content-Range": "bytes 4-9/10"}, cut=3), TransientStorageError),
        (Answer(200, b"0123456789"), StorageError),
    ],
)
def test_a_read_that_is_not_filled(answer, error):
    with scripted_server(answer) as server, s3_store(server) as store:
        with pytest.raises(StorageError) as failure:
            store.read("key", 4, [memoryview(bytearray(6))])
        assert type(failure.value) is error


def test_an_object_that_is_cut_is_not_got():
    with (
        scripted_server(Answer(200, b"whole object", cut=5)) as server,
        s3_store(server) as store,
        pytest.raises(TransientStorageError),
    ):
        store.get("key")


def test_deletion_goes_by_thousands():
    with scripted_server(Answer(), Answer(), Answer(204)) as server, s3_store(server) as store:
        store.delete(f"key-{number}<&>" for number in range(2001))
        first, second, last = server.seen
    assert (first.method, last.method) == ("POST", "DELETE")
    assert (first.body.count(b"<Key>"), second.body.count(b"<Key>")) == (1000, 1000)
    assert b"<Key>key-0&lt;&amp;&gt;</Key>" in first.body
    assert first.headers["content-md5"] == base64.b64encode(hashlib.md5(first.body).digest()).decode()
    assert last.path.endswith("/key-2000<&>")


def test_all_keys_are_tried_before_a_failure_is_raised():
    refused = "".join(
        f"<Error><Key>{key}</Key><Code>{code}</Code><Message>m</Message></Error>"
        for key, code in [("gone", "NoSuchKey"), ("a", "AccessDenied"), ("b", "InternalError")]
    )
    result = Answer(body=f"<DeleteResult>{refused}</DeleteResult>".encode())
    keys = [f"key-{number}" for number in range(1002)]
    with (
        scripted_server(failing(503, "SlowDown"), Answer()) as server,
        s3_store(server) as store,
        pytest.raises(TransientStorageError),
    ):
        store.delete(keys)
    with scripted_server(result) as server, s3_store(server) as store:
        with pytest.raises(PermissionDeniedError, match="/a: ") as failure:
            store.delete(["gone", "a", "b"])
        assert "InternalError" in failure.value.__notes__[0]


@pytest.mark.parametrize("status", [400, 405, 501])
def test_a_server_without_batches_gets_single_deletions(status):
    with scripted_server(failing(status, "NotImplemented"), Answer(204), Answer(404)) as server:
        with s3_store(server) as store:
            store.delete(["a", "b"])
        assert [seen.method for seen in server.seen] == ["POST", "DELETE", "DELETE"]


@pytest.mark.parametrize("body", [b"<html>", error_document("InternalError")])
def test_an_answer_to_a_deletion_that_is_none_may_be_asked_for_again(body):
    with (
        scripted_server(Answer(body=body)) as server,
        s3_store(server) as store,
        pytest.raises(TransientStorageError),
    ):
        store.delete(["a", "b"])


def test_nothing_is_deleted_on_a_condition():
    with scripted_server() as server, s3_store(server) as store, pytest.raises(UnsupportedOperationError):
        store.delete_if_version("key", "etag")


def test_the_first_conditional_write_asks_whether_conditions_are_honoured():
    with scripted_server(*HONOURED, Answer(), Answer(), failing(412)) as server, s3_store(server) as store:
        put(store, "run/key", condition=IfAbsent())
        put(store, "run/key", condition=IfVersion("etag"))
        assert store.capabilities.create_if_absent
        with pytest.raises(PreconditionFailedError):
            put(store, "run/key", condition=IfAbsent())
        first, second, deleted, created, replaced, _ = server.seen
    assert first.headers["if-none-match"] == second.headers["if-none-match"] == created.headers["if-none-match"] == "*"
    assert first.path == second.path == deleted.path
    assert f"/run/{PROBE_PREFIX}" in first.path
    assert deleted.method == "DELETE"
    assert replaced.headers["if-match"] == '"etag"'


@pytest.mark.parametrize("script", [[Answer(), Answer(), Answer(204)], [failing(501), failing(501), Answer(204)]])
def test_a_server_that_ignores_conditions_replaces_nothing_on_a_condition(script):
    with scripted_server(*script, Answer()) as server, s3_store(server) as store:
        with pytest.raises(UnsupportedOperationError, match="ignores the conditions"):
            put(store, "key", condition=IfVersion("etag"))
        with pytest.raises(UnsupportedOperationError):
            store.create("key", 10, IfVersion("etag"))
        assert not store.capabilities.create_if_absent
        assert not store.capabilities.replace_if_version
        put(store, "key")


def test_a_server_that_ignores_conditions_is_asked_first_with_one_warning(monkeypatch):
    monkeypatch.setattr("cloudckpt.storage.single_writer._warned", set())
    script = [Answer(), Answer(), Answer(204), failing(404), Answer(), Answer(headers={"Content-Length": "0"})]
    with scripted_server(*script) as server, s3_store(server) as store:
        with pytest.warns(SingleWriterWarning, match="only one program at a time"):
            put(store, "key", condition=IfAbsent())
        with pytest.raises(PreconditionFailedError, match="exists already"):
            put(store, "key", condition=IfAbsent())  # a second warning would be an error
    assert [request.method for request in server.seen[3:]] == ["HEAD", "PUT", "HEAD"]
    assert "if-none-match" not in server.seen[4].headers


def test_the_capabilities_are_found_out_where_the_user_looked():
    with scripted_server(listing(), *HONOURED) as server, s3_store(server) as store:
        list(store.list("run/ckpt-"))
        assert store.capabilities.create_if_absent
        assert f"/run/{PROBE_PREFIX}" in server.seen[1].path


def test_who_may_not_write_has_no_conditional_writes_and_the_next_may():
    denied = failing(403, "AccessDenied")
    with scripted_server(denied, denied, *HONOURED) as server, s3_store(server) as store:
        assert not store.capabilities.create_if_absent
        assert store.capabilities.create_if_absent


def test_a_probe_that_found_nothing_out_is_made_again():
    with scripted_server(Answer(), failing(503), Answer(204), *HONOURED, Answer()) as server, s3_store(server) as store:
        with pytest.raises(TransientStorageError):
            put(store, "key", condition=IfAbsent())
        put(store, "key", condition=IfAbsent())


def test_a_probe_that_stays_behind_is_logged(caplog):
    with scripted_server(Answer(), Answer(412), failing(403, "AccessDenied")) as server, s3_store(server) as store:
        assert store.capabilities.create_if_absent
    assert "a probe of 0 bytes stays behind" in caplog.text
