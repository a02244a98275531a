"""The faulty store: every operation is counted, and fails as asked for."""

from __future__ import annotations

import pytest
from crc32c import crc32c

from cloudckpt.errors import StorageError, TransientStorageError
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.store import Always
from cloudckpt.testing import Crash, FaultyStore


def work(store, folder):
    """One of each operation."""
    key = f"{folder}/object"
    store.put(key, b"small", Always(), crc32c=crc32c(b"small"))
    with store.create(key, 4, Always()) as upload:
        upload.write(0, [b"data"], crc32c(b"data"))
        upload.complete(crc32c(b"data"))
    version = store.stat(key).version
    list(store.list(f"{folder}/"))
    store.get(key)
    store.read(key, 0, [memoryview(bytearray(2)), memoryview(bytearray(2))], version)
    store.copy(store.stat(key), f"{key}-copy", Always())
    store.delete_if_version(key, version)
    store.delete([key, f"{key}-copy"])


OPERATIONS = [
    "put object",
    "create object",
    "write object",
    "complete object",
    "stat object",
    "list ",
    "get object",
    "read object",
    "stat object",
    "copy object-copy",
    "delete_if_version object",
    "delete object",
]


@pytest.fixture
def inner():
    with LocalStore(fsync=False) as store:
        yield store


def test_without_a_fault_operations_are_only_counted(inner, tmp_path):
    store = FaultyStore(inner, 0)
    work(store, tmp_path)
    assert store.operations == OPERATIONS
    assert store.capabilities == inner.capabilities
    assert store.url("/x") == "/x"
    assert not store.failed


@pytest.mark.parametrize("mode", ["before", "after", "during"])
@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("number", range(1, len(OPERATIONS) + 1))
def test_the_operation_asked_for_fails(inner, tmp_path, number, mode, forever):
    store = FaultyStore(inner, number, mode, forever)
    with pytest.raises(TransientStorageError, match="injected"):
        work(store, tmp_path)
    assert store.operations == OPERATIONS[:number]
    assert (store.failed, store.dead) == (True, forever)
    if forever:
        with pytest.raises(TransientStorageError):
            store.stat(f"{tmp_path}/object")
    else:
        list(store.list(f"{tmp_path}/"))


def test_before_and_after(inner, tmp_path):
    key = f"{tmp_path}/object"
    for mode, there in (("before", []), ("after", [key])):
        with pytest.raises(StorageError):
            FaultyStore(inner, 1, mode).put(key, b"x", Always(), crc32c=crc32c(b"x"))
        assert [info.key for info in inner.list(f"{tmp_path}/")] == there


def test_half_way(inner, tmp_path):
    keys = [f"{tmp_path}/{name}" for name in "abcd"]
    for key in keys:
        inner.put(key, b"1234", Always(), crc32c=crc32c(b"1234"))
    seen = []
    with pytest.raises(StorageError):
        for info in FaultyStore(inner, 1, "during").list(f"{tmp_path}/"):
            seen.append(info.key)  # noqa: PERF401 - what came before the failure is the point
    assert seen == keys[:2]
    buffers = [bytearray(2), bytearray(2)]
    with pytest.raises(StorageError):
        FaultyStore(inner, 1, "during").read(keys[0], 0, [memoryview(buffer) for buffer in buffers])
    assert buffers == [b"12", bytes(2)]
    with pytest.raises(StorageError):
        FaultyStore(inner, 1, "during").delete(keys)
    assert [info.key for info in inner.list(f"{tmp_path}/")] == keys[2:]


def test_a_put_that_dies_half_way_leaves_an_unfinished_upload_behind(inner, tmp_path):
    with pytest.raises(StorageError):
        FaultyStore(inner, 1, "during").put(f"{tmp_path}/object", b"x", Always(), crc32c=crc32c(b"x"))
    assert list(inner.list(f"{tmp_path}/")) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_a_copy_that_dies_half_way_leaves_an_unfinished_upload_behind(inner, tmp_path):
    source = inner.put(f"{tmp_path}/object", b"x", Always(), crc32c=crc32c(b"x"))
    with pytest.raises(StorageError):
        FaultyStore(inner, 1, "during").copy(source, f"{tmp_path}/copy", Always())
    assert [info.key for info in inner.list(f"{tmp_path}/")] == [source.key]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_crash_is_caught_by_nobody_and_cleans_nothing_up(inner, tmp_path):
    store = FaultyStore(inner, 3, forever=True, error=Crash())
    with pytest.raises(Crash):
        work(store, tmp_path)
    assert not issubclass(Crash, Exception)
    assert inner.get(f"{tmp_path}/object")[0] == b"small"
    assert len(list(tmp_path.iterdir())) == 2
