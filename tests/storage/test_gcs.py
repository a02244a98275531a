"""GCSStore against a scripted server, for what fake-gcs-server does not show."""

from __future__ import annotations

import base64
import json
import uuid

import fsspec
import pytest
from crc32c import crc32c

from cloudckpt.errors import (
    InvalidArgumentError,
    ObjectChangedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    ShortReadError,
    StorageError,
    StorageTimeoutError,
    TransientStorageError,
    UploadCorruptedError,
)
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.gcs.store import GCSStore
from cloudckpt.storage.gcs.upload import PART_SIZE
from cloudckpt.storage.store import Always, IfAbsent, IfVersion
from tests.storage.scripted_server import Answer, scripted_server

TOKEN = "token-that-nobody-may-see"


class Token:
    """Credentials as google-auth has them, as far as gcsfs needs them."""

    valid = True
    expiry = None

    def apply(self, headers):
        headers["authorization"] = f"Bearer {TOKEN}"


def gcs_store(server, part_size=PART_SIZE, credentials=Token(), **options):  # noqa: B008 - it has no state
    known = {"endpoint_url": server.url, "token": "anon", "project": "project", "skip_instance_cache": True}
    filesystem = fsspec.filesystem("gs", **(known | options))
    filesystem.credentials.credentials = credentials
    return GCSStore(f"bucket-{uuid.uuid4().hex[:8]}", filesystem, part_size=part_size)


def resource(key="key", size=4, generation="5", **fields):
    document = {"name": key, "size": str(size), "generation": generation, "updated": "1970-01-01T00:01:00.789Z"}
    return Answer(body=json.dumps(document | fields).encode())


def failing(status, reason="", message="as scripted", **headers):
    document = {"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}
    return Answer(status, json.dumps(document).encode(), headers)


def put(store, key, data=b"data", condition=Always(), **fields):  # noqa: B008 - a frozen value
    return store.put(key, data, condition, crc32c=crc32c(data), **fields)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failing(401, "authError"), PermissionDeniedError),
        (failing(403, "forbidden"), PermissionDeniedError),
        (failing(403, "rateLimitExceeded"), TransientStorageError),
        (failing(404, "notFound", "The specified bucket does not exist."), ObjectNotFoundError),
        (failing(412, "conditionNotMet"), PreconditionFailedError),
        (failing(400, "invalid", 'Provided CRC32C "a" doesn\'t match calculated CRC32C "b".'), UploadCorruptedError),
        (failing(400, "invalid"), StorageError),
        (failing(408), TransientStorageError),
        (failing(429, "rateLimitExceeded"), TransientStorageError),
        (failing(503, "backendError"), TransientStorageError),
        (Answer(502, b"<html>plain text</html>"), TransientStorageError),
        (Answer(200, b"<html>"), TransientStorageError),
        (Answer(200, b"[]"), StorageError),
    ],
)
def test_what_the_answers_mean(answer, error):
    with scripted_server(answer) as server, gcs_store(server) as store:
        with pytest.raises(StorageError) as failure:
            put(store, "folder/key")
        assert type(failure.value) is error
        assert store.url("folder/key") in str(failure.value)
        assert not any(hidden in str(failure.value) for hidden in (TOKEN, "uploadType"))


def test_the_server_says_how_long_to_wait():
    with (
        scripted_server(failing(503, **{"Retry-After": "7"})) as server,
        gcs_store(server) as store,
        pytest.raises(TransientStorageError) as failure,
    ):
        store.stat("key")
    assert failure.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("condition", "generation"),
    [(Always(), None), (IfAbsent(), "0"), (IfVersion("17"), "17"), (IfVersion("0"), "1"), (IfVersion("what?"), "1")],
)
def test_a_put_is_one_request_with_checksum_commit_id_and_condition(condition, generation):
    with (
        scripted_server(resource("a/b c", 5, "18", metadata={"cloudckpt-commit": "mine"})) as server,
        gcs_store(server) as store,
    ):
        info = put(store, "a/b c", b"hello", condition, commit_id="mine")
    sent = server.seen[0]
    _, head, body, end = sent.body.split(b"--" + sent.headers["content-type"].partition("boundary=")[2].encode())
    checksum = base64.b64encode(crc32c(b"hello").to_bytes(4, "big")).decode()
    assert (info.key, info.size, info.version, info.modified, info.commit_id) == ("a/b c", 5, "18", 60.0, "mine")
    assert sent.path == f"/upload/storage/v1/b/{store._client._bucket}/o"
    assert sent.query.get("ifGenerationMatch") == generation
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert json.loads(head.partition(b"\r\n\r\n")[2]) == {
        "name": "a/b c",
        "crc32c": checksum,
        "metadata": {"cloudckpt-commit": "mine"},
    }
    assert body.partition(b"\r\n\r\n")[2] == b"hello\r\n"
    assert end == b"--"


def test_a_listing_goes_by_pages():
    pages = [{"items": [json.loads(resource("p/a").body)], "nextPageToken": "t+"}, {}]
    with (
        scripted_server(*(Answer(body=json.dumps(page).encode()) for page in pages)) as server,
        gcs_store(server) as store,
    ):
        assert [info.key for info in store.list("p/")] == ["p/a"]
    assert [seen.query.get("pageToken") for seen in server.seen] == [None, "t+"]
    assert server.seen[0].query["prefix"] == "p/"
    assert server.seen[0].query["delimiter"] == "/"


def test_what_is_got_is_described_by_the_same_answer():
    headers = {"X-Goog-Generation": "9", "Last-Modified": "Thu, 01 Jan 1970 00:01:00 GMT"}
    headers["X-Goog-Meta-Cloudckpt-Commit"] = "mine"
    with scripted_server(Answer(200, b"data", headers)) as server, gcs_store(server) as store:
        data, info = store.get("a/b")
        assert server.seen[0].target.partition("?")[0].endswith("/o/a%2Fb")
    assert data == b"data"
    assert (info.key, info.size, info.version, info.modified, info.commit_id) == ("a/b", 4, "9", 60.0, "mine")


def test_a_read_is_pinned_and_fills_the_buffers_in_order():
    out = bytearray(6)
    view = memoryview(out)
    answer = Answer(206, b"456789", {"Content-Range": "bytes 4-9/10"})
    with scripted_server(answer) as server, gcs_store(server) as store:
        store.read("key", 4, [view[:2], view[2:]], "17")
        assert server.seen[0].query == {"alt": "media", "generation": "17"}
        assert server.seen[0].headers["range"] == "bytes=4-9"
    assert out == b"456789"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([Answer(206, b"4567", {"Content-Range": "bytes 4-7/8"})], ShortReadError),
        ([Answer(416, headers={"Content-Range": "bytes */3"})], ShortReadError),
        ([Answer(206, b"456789", {"Content-Range": "bytes 4-9/10"}, cut=3)], TransientStorageError),
        ([Answer(200, b"0123456789")], StorageError),
        ([failing(404), resource(generation="18")], ObjectChangedError),
        ([failing(404), failing(404)], ObjectNotFoundError),
        ([failing(404), resource(generation="17")], ObjectNotFoundError),
        ([failing(404), failing(503)], TransientStorageError),
    ],
)
def test_a_read_that_is_not_filled(script, error):
    with scripted_server(*script) as server, gcs_store(server) as store:
        with pytest.raises(StorageError) as failure:
            store.read("key", 4, [memoryview(bytearray(6))], "17")
        assert type(failure.value) is error


def test_all_keys_are_tried_before_a_failure_is_raised():
    def answer(seen):
        return {"a": failing(403), "gone": failing(404)}.get(seen.path.rpartition("/")[2], Answer(204))

    others = [f"b{number}" for number in range(50)]
    with scripted_server(by=answer) as server, gcs_store(server) as store:
        with pytest.raises(PermissionDeniedError, match="/a: "):
            store.delete(["a", "gone", *others])
        assert sorted(seen.path.rpartition("/")[2] for seen in server.seen) == sorted(["a", "gone", *others])


def test_deletions_end_with_the_callers_time():
    with (
        scripted_server(by=lambda _: Answer(hang=True)) as server,
        gcs_store(server) as store,
        time_limit(0.2),
        pytest.raises(StorageTimeoutError),
    ):
        store.delete([f"key-{number}" for number in range(50)])


def test_a_version_is_deleted_on_its_condition():
    with scripted_server(Answer(204), failing(404), failing(412)) as server, gcs_store(server) as store:
        store.delete_if_version("key", "17")
        store.delete_if_version("key", "17")
        with pytest.raises(PreconditionFailedError):
            store.delete_if_version("key", "17")
        assert {seen.query["ifGenerationMatch"] for seen in server.seen} == {"17"}


def test_folders_of_a_console_are_no_objects():
    names = ["p/", "p/a", "p/empty/"]
    page = {"items": [json.loads(resource(name, size=0).body) for name in names], "prefixes": ["p/folder/"]}
    with scripted_server(Answer(body=json.dumps(page).encode())) as server, gcs_store(server) as store:
        assert [info.key for info in store.list("p/")] == ["p/a"]


@pytest.mark.parametrize("part_size", [0, -(256 << 10), 1, (256 << 10) + 1, 5_000_000])
def test_a_part_size_that_the_server_does_not_take(part_size):
    with (
        scripted_server() as server,
        pytest.raises(InvalidArgumentError, match=r"multiple of 262144 bytes \(256 KiB\)"),
    ):
        gcs_store(server, part_size=part_size)


ANY_BUCKET_TAKES = {
    *("prefix", "delimiter", "fields", "pageToken", "alt", "generation", "uploadType", "name", "ifGenerationMatch"),
    *("sourceGeneration", "rewriteToken"),
}
"""Parameters of object requests that flat and hierarchical buckets, versioned or not, with uniform access, understand;
access lists, versions and composing are not among them."""


def test_nothing_is_asked_that_a_hierarchical_or_uniform_bucket_refuses():
    def answer(seen):
        if "rewriteTo" in seen.path:
            return Answer(body=json.dumps({"resource": json.loads(resource().body), "done": True}).encode())
        return Answer(204) if seen.method == "DELETE" else resource()

    with scripted_server(by=answer) as server, gcs_store(server) as store:
        info = put(store, "folder/key", condition=IfVersion("5"))
        list(store.list("folder/"))
        list(store.list("folder/", recursive=True))
        store.get("folder/key")
        store.copy(info, "folder/copy", IfAbsent())
        store.delete_if_version("folder/key", "5")
        store.delete(["folder/key"])
        assert list(store.unfinished("folder/")) == []
        assert {name for seen in server.seen for name in seen.query} <= ANY_BUCKET_TAKES
        assert {seen.query.get("delimiter") for seen in server.seen} == {"/", None}
        bodies = b"".join(seen.body for seen in server.seen)
    assert b"acl" not in bodies.lower()


def test_the_filesystem_is_asked_nothing_over_grpc():
    """gcsfs looks at the type of each bucket over gRPC, and waits a minute for an emulator that has none."""
    from gcsfs.extended_gcsfs import ExtendedGcsFileSystem

    with scripted_server(by=lambda _: resource()) as server:
        filesystem = ExtendedGcsFileSystem(endpoint_url=server.url, token="anon", skip_instance_cache=True)
        with GCSStore("bucket", filesystem) as store:
            store.stat("key")
            put(store, "key")
            list(store.list("p/"))
    assert filesystem._storage_control_client is None
    assert filesystem._grpc_client is None
