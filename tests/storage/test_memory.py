"""The memory store beside other users of fsspec's memory filesystem."""

from __future__ import annotations

import uuid

import fsspec
import pytest
from crc32c import crc32c

from cloudckpt.errors import ObjectChangedError, PreconditionFailedError, StorageError
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always, IfAbsent, IfVersion


@pytest.fixture
def location():
    with open_location(f"memory://{uuid.uuid4().hex}/object") as location:
        yield location


def put(location, data, condition):
    return location.store.put(location.key, data, condition, crc32c=crc32c(data))


def test_other_users_of_fsspec_see_what_is_written(location):
    put(location, b"ours", Always())
    with fsspec.open(location.url, "rb") as file:
        assert file.read() == b"ours"
    assert fsspec.filesystem("memory").info(location.key)["size"] == 4


def test_what_others_write_is_seen_and_has_a_version(location):
    fsspec.filesystem("memory").pipe_file(location.url, b"theirs")
    data, info = location.store.get(location.key)
    assert (data, info.commit_id) == (b"theirs", None)
    with pytest.raises(PreconditionFailedError):
        put(location, b"ours", IfAbsent())
    put(location, b"ours", IfVersion(info.version))
    assert location.store.get(location.key)[0] == b"ours"


def test_a_foreign_write_between_is_noticed(location):
    version = put(location, b"ours", Always()).version
    fsspec.filesystem("memory").pipe_file(location.url, b"ours")
    with pytest.raises(PreconditionFailedError):
        put(location, b"again", IfVersion(version))
    with pytest.raises(ObjectChangedError):
        location.store.read(location.key, 0, [memoryview(bytearray(1))], version)


def test_foreign_writes_are_told_apart(location):
    filesystem = fsspec.filesystem("memory")
    versions = set()
    for _ in range(20):
        filesystem.pipe_file(location.url, b"same")
        versions.add(location.store.stat(location.key).version)
    assert len(versions) == 20


def test_an_upload_that_is_not_whole_is_refused(location):
    store, key = location.store, location.key
    with store.create(key, 10, Always()) as upload, pytest.raises(StorageError, match="4 of 10 bytes"):
        upload.write(0, [b"four"], crc32c(b"four"))
        upload.complete(crc32c(b"four"))
    with store.create(key, 2, Always()) as upload, pytest.raises(StorageError, match="beyond"):
        upload.write(0, [b"four"], crc32c(b"four"))
    assert list(store.list(key)) == []
