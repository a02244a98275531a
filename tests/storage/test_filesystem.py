"""Any fsspec filesystem: what the contract does not say of it."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fsspec
import pytest
from crc32c import crc32c
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.errors import (
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    SingleWriterWarning,
    StorageError,
    TransientStorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.filesystem import FilesystemStore
from cloudckpt.storage.filesystem_info import described
from cloudckpt.storage.open import open_location
from cloudckpt.storage.store import Always, IfAbsent

pytestmark = pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")


def put(store, key, data, condition=None):
    return store.put(key, data, condition or Always(), crc32c=crc32c(data))


class FaultyFilesystem(LocalFileSystem):
    """A local filesystem whose named methods raise."""

    protocol = "faulty"
    cachable = False

    def __init__(self, **faults):
        super().__init__()
        self.faults = faults

    def fault(self, name):
        if name in self.faults:
            raise self.faults[name]

    def info(self, path, **kwargs):
        self.fault("info")
        return super().info(path, **kwargs)

    def cat_file(self, path, start=None, end=None, **kwargs):
        self.fault("cat_file")
        return super().cat_file(path, start, end, **kwargs)

    def mv(self, path1, path2, **kwargs):
        self.fault("mv")
        return super().mv(path1, path2, **kwargs)

    def rm_file(self, path):
        self.fault("rm_file")
        return super().rm_file(path)


class QuietHandler(SimpleHTTPRequestHandler):
    """A folder as a web server shows it: a list of names, and files as a whole, whatever range is asked for."""

    def log_message(self, *args):
        pass


@pytest.fixture
def web_page(tmp_path):
    (tmp_path / "ckpt.index").write_bytes(b"12345")
    (tmp_path / "folder").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with open_location(f"http://127.0.0.1:{server.server_port}/ckpt") as place:
            yield place
        server.shutdown()


def test_a_listing_of_names_only(web_page):
    (found,) = web_page.store.list(f"{web_page.key}.")
    assert (found.key, found.size) == (f"{web_page.key}.index", 5)
    assert found == web_page.store.stat(found.key)
    assert web_page.store.get(found.key) == (b"12345", found)


def test_a_server_that_ignores_ranges(web_page):
    whole, part = bytearray(5), bytearray(3)
    web_page.store.read(f"{web_page.key}.index", 0, [memoryview(whole)])
    assert whole == b"12345"
    with pytest.raises(UnsupportedOperationError, match="asked for 3 bytes from byte 1 on, it answered with 5"):
        web_page.store.read(f"{web_page.key}.index", 1, [memoryview(part)])


def test_it_warns_once_a_filesystem_and_process(tmp_path, monkeypatch):
    monkeypatch.setattr("cloudckpt.storage.single_writer._warned", set())
    stores = [FilesystemStore(DirFileSystem(path=str(tmp_path), fs=LocalFileSystem())) for _ in range(2)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        put(stores[0], "never", b"", Always())
        assert caught == []
        put(stores[0], "first", b"", IfAbsent())
        put(stores[1], "second", b"", IfAbsent())
    assert [warning.category for warning in caught] == [SingleWriterWarning]


@pytest.mark.parametrize(
    ("filesystem", "renames"),
    [
        (LocalFileSystem(), True),
        (DirFileSystem(path="/x", fs=LocalFileSystem()), True),
        (MemoryFileSystem(), False),
        (DirFileSystem(path="/x", fs=MemoryFileSystem()), False),
    ],
)
def test_whether_a_move_is_a_rename(filesystem, renames):
    capabilities = FilesystemStore(filesystem).capabilities
    assert capabilities.atomic_rename is renames
    assert not capabilities.create_if_absent
    assert not capabilities.replace_if_version


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (FileNotFoundError("gone"), ObjectNotFoundError),
        (NotADirectoryError("file"), ObjectNotFoundError),
        (PermissionError("no"), PermissionDeniedError),
        (NotImplementedError(), UnsupportedOperationError),
        (ConnectionResetError("reset"), TransientStorageError),
        (TimeoutError("slow"), TransientStorageError),
        (EOFError(), TransientStorageError),
        (OSError("disk"), StorageError),
        (RuntimeError("whatever a library raises"), StorageError),
    ],
)
def test_errors_are_classified_and_name_the_filesystem(tmp_path, raised, expected):
    store = FilesystemStore(FaultyFilesystem(info=raised))
    with pytest.raises(StorageError) as failure:
        store.stat(f"{tmp_path}/object")
    assert type(failure.value) is expected
    assert failure.value.__cause__ is raised
    assert "FaultyFilesystem" in str(failure.value)
    assert f"{tmp_path}/object" in str(failure.value)


def test_errors_show_no_credentials(tmp_path):
    raised = OSError("GET https://user:hunter2@host/key?X-Amz-Signature=abc refused")
    with pytest.raises(StorageError) as failure:
        FilesystemStore(FaultyFilesystem(info=raised)).stat("/x")
    assert "hunter2" not in str(failure.value)
    assert "abc" not in str(failure.value)
    assert "https://host/key" in str(failure.value)


def test_a_failed_move_leaves_nothing(tmp_path):
    store = FilesystemStore(FaultyFilesystem(mv=OSError("no")))
    with pytest.raises(StorageError):
        put(store, f"{tmp_path}/object", b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_move_may_be_tried_again(tmp_path):
    filesystem = FaultyFilesystem(mv=ConnectionResetError())
    store = FilesystemStore(filesystem)
    with store.create(f"{tmp_path}/object", 4, IfAbsent()) as upload:
        upload.write(0, [b"data"], crc32c(b"data"))
        with pytest.raises(TransientStorageError):
            upload.complete(crc32c(b"data"))
        filesystem.faults.clear()
        assert upload.complete(crc32c(b"data")).size == 4
    assert [path.name for path in tmp_path.iterdir()] == ["object"]


def test_a_part_that_failed_ends_the_upload(tmp_path):
    store = FilesystemStore(LocalFileSystem())
    upload = store.create(f"{tmp_path}/object", 4, Always())
    upload._file.write = lambda _: (_ for _ in ()).throw(ConnectionResetError())
    with pytest.raises(StorageError, match="given up") as failure:
        upload.write(0, [b"data"], crc32c(b"data"))
    assert not isinstance(failure.value, TransientStorageError)
    assert list(tmp_path.iterdir()) == []


def test_parts_that_are_missing_or_out_of_order_are_refused(tmp_path):
    store = FilesystemStore(LocalFileSystem())
    with store.create(f"{tmp_path}/object", 4, Always()) as upload:
        with pytest.raises(StorageError, match="in order"):
            upload.write(8, [b"data"], crc32c(b"data"))
        with pytest.raises(StorageError, match="0 of 4 bytes"):
            upload.complete(0)
    assert list(tmp_path.iterdir()) == []


def test_deleting_tries_all_before_it_raises(tmp_path):
    filesystem = FaultyFilesystem()
    store = FilesystemStore(filesystem)
    keys = [f"{tmp_path}/{name}" for name in "abc"]
    for key in keys:
        put(store, key, b"")
    original = filesystem.rm_file

    def rm_file(path):
        if path == keys[0]:
            raise PermissionError(path)
        original(path)

    filesystem.rm_file = rm_file
    with pytest.raises(PermissionDeniedError):
        store.delete(keys)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_filesystem_that_copies_and_deletes_instead_of_renaming():
    filesystem = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    store = FilesystemStore(filesystem)
    put(store, "/run/object", b"data", IfAbsent())
    assert list(filesystem.store) == ["/run/object"]
    with pytest.raises(PreconditionFailedError):
        put(store, "/run/object", b"other", IfAbsent())
    assert list(filesystem.store) == ["/run/object"]
    assert store.get("/run/object")[0] == b"data"


def test_a_cached_listing_is_not_believed(tmp_path):
    filesystem = fsspec.filesystem("dir", path=str(tmp_path), fs=LocalFileSystem())
    store = FilesystemStore(filesystem)
    assert list(store.list("run/")) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "object").write_bytes(b"x")
    assert [info.key for info in store.list("run/")] == ["run/object"]


@pytest.mark.parametrize(
    ("info", "modified"),
    [
        ({"mtime": 12.5}, 12.5),
        ({"LastModified": datetime(1970, 1, 2, tzinfo=UTC)}, 86400.0),
        ({"last_modified": datetime(1970, 1, 2)}, 86400.0),  # noqa: DTZ001 - some filesystems leave the zone out
        ({"updated": "1970-01-02T00:00:00+00:00"}, 86400.0),
        ({"updated": "yesterday"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_time_in_whatever_words(info, modified):
    assert described("key", {"size": 1, **info}).modified == modified


def test_the_version_takes_identities_before_times():
    one = described("key", {"size": 1, "ETag": "a", "mtime": 1})
    assert one.version == described("key", {"size": 1, "ETag": "a", "mtime": 2}).version
    assert one.version != described("key", {"size": 1, "ETag": "b", "mtime": 1}).version
    assert described("key", {"size": 1, "mtime": 1}).version != described("key", {"size": 1, "mtime": 2}).version
    assert described("key", {"size": 1}).version != described("key", {"size": 2}).version
