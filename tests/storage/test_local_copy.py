"""Copies of local files: by a second name where that can be, else byte by byte."""

from __future__ import annotations

import errno
import os
import time

import numpy as np
import pytest
from crc32c import crc32c

from cloudckpt.errors import ObjectChangedError, PreconditionFailedError, StorageError
from cloudckpt.storage.local import hidden as local_hidden
from cloudckpt.storage.local import io as local_io
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.store import Always, IfAbsent, IfVersion, ObjectInfo

DATA = np.random.default_rng(0).bytes(100_000)


@pytest.fixture
def store():
    with LocalStore() as store:
        yield store


@pytest.fixture
def source(store, tmp_path):
    return put(store, f"{tmp_path}/source", DATA)


@pytest.fixture
def key(tmp_path):
    return f"{tmp_path}/copy"


@pytest.fixture(params=["on a network disk", "on another disk", "too many links", "without links", "not ours"])
def no_link(request, monkeypatch):
    """Whatever keeps a file from having a second name."""
    if request.param == "on a network disk":
        monkeypatch.setattr(local_hidden, "is_network_disk", lambda _: True)
        return
    number = {
        "on another disk": errno.EXDEV,
        "too many links": errno.EMLINK,
        "without links": errno.ENOTSUP,
        "not ours": errno.EPERM,
    }[request.param]
    fail_links(monkeypatch, number)


def fail_links(monkeypatch, number):
    """Let links of files in other folders fail, and those within one work."""
    link = os.link

    def failing(path, name, **folders):
        if "src_dir_fd" not in folders:
            raise OSError(number, os.strerror(number))
        link(path, name, **folders)

    monkeypatch.setattr(os, "link", failing)


def put(store, key, data, condition=Always()):  # noqa: B008 - a frozen value
    return store.put(key, data, condition, crc32c=crc32c(data))


def test_a_copy_is_a_second_name_and_moves_no_bytes(store, source, key):
    info = store.copy(source, key, IfAbsent())
    assert os.path.samefile(source.key, key)
    assert info.version == source.version == store.stat(key).version
    assert os.stat(key).st_nlink == 2  # and no third, hidden one


def test_its_age_is_that_of_the_copy(store, source, key):
    os.utime(source.key, (1, 1))
    before = time.time()
    info = store.copy(store.stat(source.key), key, IfAbsent())
    assert info.modified >= before - 0.1


@pytest.mark.usefixtures("no_link")
@pytest.mark.parametrize("condition", [Always(), IfAbsent()])
def test_where_there_are_no_links_the_bytes_are_copied(store, source, key, condition, tmp_path):
    info = store.copy(source, key, condition)
    assert not os.path.samefile(source.key, key)
    assert store.get(key) == (DATA, info)
    assert info.version != source.version
    assert sorted(os.listdir(tmp_path)) == ["copy", "source"]


def test_from_one_disk_to_another(store, tmp_path):
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("this system has no second disk to write to")
    source = put(store, f"/dev/shm/cloudckpt-{os.getpid()}-{tmp_path.name}", DATA)
    try:
        store.copy(source, f"{tmp_path}/copy", IfAbsent())
    finally:
        store.delete([source.key])
    assert store.get(f"{tmp_path}/copy")[0] == DATA


def test_a_name_that_now_leads_to_another_file_is_not_linked(store, source, key, monkeypatch):
    link = os.link

    def replaced_meanwhile(path, name, **folders):
        if "src_dir_fd" not in folders:
            put(store, source.key, b"another")
        link(path, name, **folders)

    monkeypatch.setattr(os, "link", replaced_meanwhile)
    store.copy(source, key, Always())
    assert store.get(key)[0] == DATA
    assert store.get(source.key)[0] == b"another"


@pytest.mark.usefixtures("no_link")
def test_a_source_that_changes_while_it_is_copied(store, source, key, tmp_path, monkeypatch):
    copy_bytes = local_io.copy_bytes

    def meddled(*arguments):
        copy_bytes(*arguments)
        with open(source.key, "r+b") as file:
            file.write(b"in place")

    monkeypatch.setattr("cloudckpt.storage.local.copy.copy_bytes", meddled)
    with pytest.raises(ObjectChangedError, match="replaced") as failure:
        store.copy(source, key, IfAbsent())
    assert failure.value.path == source.key
    assert os.listdir(tmp_path) == ["source"]


@pytest.mark.parametrize("step", ["create", "write", "sync", "publish"])
@pytest.mark.usefixtures("no_link")
def test_a_failure_leaves_nothing(store, source, key, tmp_path, monkeypatch, step):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {
        "create": "cloudckpt.storage.local.hidden.HiddenFile.create",
        "write": "cloudckpt.storage.local.copy.copy_bytes",
        "sync": "os.fsync",
        "publish": "cloudckpt.storage.local.hidden.HiddenFile.publish",
    }[step]
    monkeypatch.setattr(os.path, "ismount", str(tmp_path).__eq__)
    monkeypatch.setattr(target, full)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(StorageError, match="disk is full") as failure:
        store.copy(source, key, IfAbsent())
    assert failure.value.path == key
    assert os.listdir(tmp_path) == ["source"]
    assert len(os.listdir("/dev/fd")) == before


def test_a_refused_link_leaves_nothing(store, source, key, tmp_path):
    put(store, key, b"taken")
    before = len(os.listdir("/dev/fd"))
    for condition in (IfAbsent(), IfVersion("another")):
        with pytest.raises(PreconditionFailedError):
            store.copy(source, key, condition)
    assert sorted(os.listdir(tmp_path)) == ["copy", "source"]
    assert os.stat(source.key).st_nlink == 1
    assert len(os.listdir("/dev/fd")) == before


def test_over_itself_it_stays(store, source, tmp_path):
    for condition in (Always(), IfVersion(source.version)):
        store.copy(source, source.key, condition)
        assert store.get(source.key)[0] == DATA
        assert os.listdir(tmp_path) == ["source"]


def test_over_an_earlier_copy_of_the_same_file(store, source, key, tmp_path):
    info = store.copy(source, key, IfAbsent())
    store.copy(source, key, Always())
    store.copy(source, key, IfVersion(info.version))
    assert sorted(os.listdir(tmp_path)) == ["copy", "source"]


def test_through_a_symbolic_link(store, source, key, tmp_path):
    (tmp_path / "alias").symlink_to("source")
    store.copy(store.stat(f"{tmp_path}/alias"), key, IfAbsent())
    assert not os.path.islink(key)
    store.delete([source.key])
    assert store.get(key)[0] == DATA


def test_a_folder_is_no_source(store, tmp_path, key):
    with pytest.raises(ObjectChangedError):
        store.copy(ObjectInfo(str(tmp_path), 0, "version", 0.0), key, IfAbsent())


@pytest.mark.parametrize("linked", [True, False])
def test_file_and_folder_are_flushed(tmp_path, source, monkeypatch, linked):
    if not linked:
        fail_links(monkeypatch, errno.EXDEV)
    synced = []
    monkeypatch.setattr(os.path, "ismount", str(tmp_path).__eq__)  # what is above is of another disk
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with LocalStore(fsync=True) as durable, LocalStore(fsync=False) as fast:
        fast.copy(source, f"{tmp_path}/fast", IfAbsent())
        assert synced == []
        durable.copy(source, f"{tmp_path}/durable", IfAbsent())
    assert synced == [os.stat(f"{tmp_path}/durable").st_ino, tmp_path.stat().st_ino]


def test_hundreds_of_copies_leave_no_descriptor_open(source, tmp_path):
    before = len(os.listdir("/dev/fd"))
    with LocalStore(fsync=False) as store:
        for number in range(300):
            store.copy(source, f"{tmp_path}/to/{number:03}", IfAbsent())
    assert len(os.listdir("/dev/fd")) == before
    assert os.stat(source.key).st_nlink == 301
