"""The options of s3fs, as the server sees them."""

from __future__ import annotations

import base64
import hashlib
import uuid
from contextlib import ExitStack

import pytest
from crc32c import crc32c

from cloudckpt.errors import StorageError, TransientStorageError
from cloudckpt.storage.open import open_location
from cloudckpt.storage.s3.copy import PART
from cloudckpt.storage.store import Always, ObjectInfo
from tests.storage.authority import Authority
from tests.storage.scripted_server import Answer, scripted_server
from tests.storage.test_s3 import put, s3_store
from tests.storage.test_s3_remedies import signed_by
from tests.storage.test_s3_retries import COPIED
from tests.storage.test_s3_upload import COMPLETED, DATA, PARTS, STARTED, STORED
from tests.storage.test_s3_upload import PART as SENT_PART

KMS = {
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": "arn:aws:kms:eu-west-3:1:key/2",
    "BucketKeyEnabled": True,
    "StorageClass": "INTELLIGENT_TIERING",
    "ACL": "bucket-owner-full-control",
    "Tagging": "team=a&run=b",
    "Metadata": {"project": "x"},
    "CacheControl": "no-store",
    "ChecksumAlgorithm": "SHA256",
    "NoSuchOption": 1,
}
OF_NEW_OBJECTS = {
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-3:1:key/2",
    "x-amz-server-side-encryption-bucket-key-enabled": "true",
    "x-amz-storage-class": "INTELLIGENT_TIERING",
    "x-amz-acl": "bucket-owner-full-control",
    "x-amz-tagging": "team=a&run=b",
    "x-amz-meta-project": "x",
    "cache-control": "no-store",
}
OWN_KEY = "a key of thirty-two bytes, secret"[:32]
DIGEST = base64.b64encode(hashlib.md5(OWN_KEY.encode()).digest()).decode()
CUSTOMER = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": base64.b64encode(OWN_KEY.encode()).decode(),
    "x-amz-server-side-encryption-customer-key-md5": DIGEST,
}
SOURCE = {name.replace("x-amz-", "x-amz-copy-source-"): value for name, value in CUSTOMER.items()}


def carries(seen, wanted):
    return wanted.items() <= seen.headers.items()


def carries_none(seen, names):
    return not names & seen.headers.keys()


def every_request(store):
    """Let the store make each kind of request, and say what they are."""
    put(store, "key")
    with store.create("key", len(DATA), Always()) as upload:
        for offset, part in PARTS:
            upload.write(offset, [part], crc32c(part))
        upload.complete(crc32c(DATA))
    store.create("key", len(DATA), Always()).abort()
    store.copy(ObjectInfo("source", 100, "etag", 0.0), "key", Always())
    store.copy(ObjectInfo("source", PART + 1, "etag", 0.0), "key", Always())
    store.stat("key")
    store.get("key")
    list(store.list("k"))
    store.delete(["key"])
    store.delete(["key", "other"])


def answer(seen):
    if seen.method == "POST" and "uploads" in seen.query:
        return STARTED
    if seen.method == "POST" and "uploadId" in seen.query:
        return COMPLETED
    if "x-amz-copy-source" in seen.headers:
        return COPIED
    if seen.method == "DELETE":
        return Answer(204)
    if "list-type" in seen.query:
        return Answer(body=b"<ListBucketResult/>")
    return STORED[0] if seen.method == "PUT" else Answer()


def begins_an_object(seen):
    """PUT, CreateMultipartUpload and CopyObject; not what adds to an object or finishes it."""
    return (seen.method == "PUT" and not seen.query) or "uploads" in seen.query


def test_how_an_object_is_kept_is_told_when_it_begins_and_only_then():
    with scripted_server(by=answer) as server:
        with s3_store(server, part_size=SENT_PART, s3_additional_kwargs=KMS) as store:
            every_request(store)
        first = [seen for seen in server.seen if begins_an_object(seen)]
        assert len(first) == 5
        assert all(carries(seen, OF_NEW_OBJECTS) for seen in first)
        others = [seen for seen in server.seen if not begins_an_object(seen)]
        assert len(others) >= 12
        assert all(carries_none(seen, OF_NEW_OBJECTS.keys() | {"x-amz-checksum-sha256"}) for seen in others)
    signed = first[0].headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert OF_NEW_OBJECTS.keys() - {"cache-control"} <= set(signed)
    copied = next(seen for seen in first if "x-amz-copy-source" in seen.headers)
    assert copied.headers["x-amz-tagging-directive"] == copied.headers["x-amz-metadata-directive"] == "REPLACE"


@pytest.mark.parametrize(
    "options",
    [
        {"requester_pays": True},
        {"s3_additional_kwargs": {"RequestPayer": "requester"}},
    ],
)
def test_who_pays_is_told_with_every_request(options):
    with scripted_server(by=answer) as server:
        with s3_store(server, part_size=SENT_PART, **options) as store:
            every_request(store)
        assert all(carries(seen, {"x-amz-request-payer": "requester"}) for seen in server.seen)


def test_whose_bucket_it_must_be_is_told_with_every_request():
    with scripted_server(by=answer) as server:
        with s3_store(server, s3_additional_kwargs={"ExpectedBucketOwner": "123456789012"}) as store:
            every_request(store)
        assert all(carries(seen, {"x-amz-expected-bucket-owner": "123456789012"}) for seen in server.seen)


def test_a_key_of_ones_own_goes_with_all_that_touches_the_object(tmp_path):
    authority = Authority(tmp_path)
    options = {
        "client_kwargs": {"verify": str(authority.path)},
        "s3_additional_kwargs": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": OWN_KEY},
    }
    with scripted_server(by=answer, tls=authority.server_tls()) as server:
        with s3_store(server, part_size=SENT_PART, **options) as store:
            every_request(store)
        touching = [seen for seen in server.seen if seen.path.split("/", 2)[2] and seen.method != "DELETE"]
        assert all(carries(seen, CUSTOMER) for seen in touching)
        others = [seen for seen in server.seen if seen not in touching]
        assert len(others) >= 4
        assert all(carries_none(seen, CUSTOMER.keys()) for seen in others)
        for seen in server.seen:
            assert carries(seen, SOURCE) if "x-amz-copy-source" in seen.headers else carries_none(seen, SOURCE.keys())
        assert OWN_KEY not in repr(store._client.access)


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = of-default\naws_secret_access_key = s\n"
        "[mine]\naws_access_key_id = of-mine\naws_secret_access_key = s\n"
    )
    (tmp_path / "config").write_text("[profile mine]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("options", "environment", "signed", "region"),
    [
        ({}, {}, "of-default", "us-east-1"),
        ({"profile": "mine"}, {}, "of-mine", "eu-west-3"),
        ({}, {"AWS_PROFILE": "mine"}, "of-mine", "eu-west-3"),
        ({}, {"AWS_ACCESS_KEY_ID": "of-variable", "AWS_SECRET_ACCESS_KEY": "s"}, "of-variable", "us-east-1"),
        ({"client_kwargs": {"region_name": "us-gov-west-1"}}, {}, "of-default", "us-gov-west-1"),
        ({"key": "of-option", "secret": "s"}, {"AWS_PROFILE": "mine"}, "of-option", "eu-west-3"),
    ],
)
def test_in_whose_name_requests_go(profiles, monkeypatch, options, environment, signed, region):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with scripted_server(Answer()) as server:
        with s3_store(server, **({"key": None, "secret": None} | options)) as store:
            store.stat("key")
        assert signed_by(server.seen[0]) == signed
        assert server.seen[0].headers["authorization"].split("/")[2] == region


@pytest.mark.parametrize("by", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "endpoint_url", "client_kwargs"])
def test_the_endpoint(monkeypatch, by):
    with scripted_server(Answer()) as server:
        options = {"key": "a", "secret": "b", "skip_instance_cache": True}
        if by.startswith("AWS"):
            monkeypatch.setenv(by, server.url)
        else:
            options |= {by: server.url} if by == "endpoint_url" else {by: {"endpoint_url": server.url}}
        with open_location(f"s3://{uuid.uuid4().hex}/key", options) as location:
            location.store.stat(location.key)


def test_timeouts_of_the_options():
    config = {"config_kwargs": {"read_timeout": 0.2, "connect_timeout": 3}}
    with ExitStack() as stack:
        server = stack.enter_context(scripted_server(Answer(hang=True)))
        store = stack.enter_context(s3_store(server, **config))
        with pytest.raises(TransientStorageError, match="it timed out"):
            store.stat("key")


def test_a_tag_that_no_header_can_hold(tmp_path):
    options = {"s3_additional_kwargs": {"Tagging": "run=ключ"}}
    with scripted_server() as server, s3_store(server, **options) as store, pytest.raises(StorageError) as failure:
        put(store, "key")
    assert not isinstance(failure.value, TransientStorageError)
