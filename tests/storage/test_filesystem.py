"""Any fsspec filesystem: what the contract does not say of it."""

from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fsspec
import numpy as np
import pytest
from crc32c import crc32c
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from cloudckpt.errors import (
    CommitUnknownError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    SingleWriterWarning,
    StorageError,
    TransientStorageError,
    UnsupportedOperationError,
)
from cloudckpt.storage.filesystem.info import described
from cloudckpt.storage.filesystem.process import made_again
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.open import open_location
from cloudckpt.storage.retry import RetryingStore
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


def copying(**faults):
    """A filesystem that copies and deletes to move, in this test's own memory."""

    class Copying(MemoryFileSystem):
        protocol = "copying"
        cachable = False
        store = {}  # noqa: RUF012 - as in the base class
        pseudo_dirs = [""]  # noqa: RUF012
        calls = []  # noqa: RUF012

        def cp_file(self, path1, path2, **kwargs):
            self.calls.append("copy")
            self.fault("before copy")
            super().cp_file(path1, path2, **kwargs)
            self.fault("after copy")

        def rm_file(self, path):
            self.fault("before delete")
            super().rm_file(path)
            self.fault("after delete")

        def mv(self, path1, path2, **kwargs):
            self.cp_file(path1, path2)
            self.rm_file(path1)

        def fault(self, name):
            if name in faults:
                raise faults.pop(name)

    return Copying()


MOMENTS = ["before copy", "after copy", "before delete", "after delete"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("condition", [Always(), IfAbsent()], ids=["always", "if absent"])
def test_p8_a_lost_answer_in_the_midst_of_a_move_is_no_failure(moment, condition):
    filesystem = copying(**{moment: ConnectionResetError()})
    store = RetryingStore(FilesystemStore(filesystem), sleep=lambda _: pytest.fail("it asked others"))
    assert put(store, "/run/object", b"data", condition).size == 4
    assert {name: file.getvalue() for name, file in filesystem.store.items()} == {"/run/object": b"data"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_p8_a_lost_answer_to_a_large_one_is_no_failure(moment):
    filesystem = copying(**{moment: ConnectionResetError()})
    store = RetryingStore(FilesystemStore(filesystem), sleep=lambda _: None)
    with store.create("/run/object", 4, IfAbsent()) as upload:
        upload.write(0, [b"data"], crc32c(b"data"))
        assert upload.complete(crc32c(b"data")).size == 4
    assert {name: file.getvalue() for name, file in filesystem.store.items()} == {"/run/object": b"data"}


def test_p8_a_write_that_stays_unproved_is_said_to_be():
    """The answers are lost for as long as it asks, but for those that show another object in its place."""
    filesystem = copying()
    filesystem.mv = lambda *_: (_ for _ in ()).throw(ConnectionResetError())
    store = RetryingStore(FilesystemStore(filesystem), max_retry_seconds=0)
    with pytest.raises(CommitUnknownError):
        put(store, "/run/object", b"data", IfAbsent())


@pytest.mark.parametrize("moment", MOMENTS)
def test_p1_a_move_that_fails_for_good_leaves_nothing_to_be_seen(moment):
    """A writer that is told of a failure deletes its data: the index must not be there then."""
    filesystem = copying(**{moment: PermissionError("no")})
    with pytest.raises(PermissionDeniedError):
        put(FilesystemStore(filesystem), "/run/object", b"data", IfAbsent())
    assert filesystem.store == {}


def test_p1_a_move_that_fails_and_can_not_be_taken_back_is_unknown():
    filesystem = copying(**{"after copy": PermissionError("no")})
    filesystem.rm_file = lambda _: (_ for _ in ()).throw(PermissionError("read-only since"))
    store = RetryingStore(FilesystemStore(filesystem), max_retry_seconds=0)
    with pytest.raises(CommitUnknownError, match="look before you write again"):
        put(store, "/run/object", b"data", IfAbsent())


def test_p1_a_part_of_a_copy_is_not_taken_for_the_whole():
    filesystem = copying()
    original = filesystem.cp_file

    def cp_file(path1, path2):
        original(path1, path2)
        filesystem.store[path2].truncate(2)

    filesystem.cp_file = cp_file
    with pytest.raises(StorageError, match="2 of 4 bytes arrived there"):
        put(FilesystemStore(filesystem), "/run/object", b"data", IfAbsent())
    assert filesystem.store == {}


class RenamingOntoNothing(FaultyFilesystem):
    """Its server refuses to rename onto a file, as Windows does, or says nothing and does nothing, as HDFS does."""

    says_so = True

    def mv(self, path1, path2, **kwargs):
        if not self.exists(path2):
            super().mv(path1, path2, **kwargs)
        elif self.says_so:
            raise FileExistsError(path2)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_server_that_renames_onto_nothing_only(tmp_path, says_so):
    filesystem = RenamingOntoNothing()
    filesystem.says_so = says_so
    store = FilesystemStore(filesystem)
    for data in (b"old", b"new!"):
        assert put(store, f"{tmp_path}/checkpoint", data).size == len(data)
    with store.create(f"{tmp_path}/other", 1, IfAbsent()) as upload:
        upload.write(0, [b"x"], crc32c(b"x"))
        filesystem.exists = lambda _: True  # another writer's, since it looked
        with pytest.raises(PreconditionFailedError):
            upload.complete(crc32c(b"x"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"checkpoint": b"new!"}


def test_a_server_that_never_renames(tmp_path):
    filesystem = FaultyFilesystem()
    filesystem.mv = lambda *_, **__: None
    with pytest.raises(StorageError, match="did not move"):
        put(FilesystemStore(filesystem), f"{tmp_path}/object", b"data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_a_cache_of_files_is_passed_by(cache, tmp_path):
    """It would give the bytes of an index that was replaced since."""
    options = {cache: {"cache_storage": str(tmp_path / "cache")}}
    with open_location(f"{cache}::file://{tmp_path}/run/ckpt", options) as location:
        for data in (b"old", b"new"):
            put(location.store, location.key, data)
            assert location.store.get(location.key)[0] == data
        (tmp_path / "run" / "ckpt").write_bytes(b"oth")
        assert location.store.get(location.key)[0] == b"oth"
        assert location.url == f"{cache}::file://{tmp_path}/run/ckpt"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_checkpoint_is_read_out_of_an_archive(kind, tmp_path):
    import shutil

    import cloudckpt as ckpt

    ckpt.save(tmp_path / "run" / "ckpt-1", {"w": np.arange(1000)})
    archive = shutil.make_archive(str(tmp_path / "archive"), kind, tmp_path, "run")
    url = f"{kind}://run/ckpt-1::file://{archive}"
    np.testing.assert_array_equal(ckpt.load(url)["w"], np.arange(1000))
    with pytest.raises(StorageError, match=f"{kind}://run/ckpt-2"):
        ckpt.save(f"{kind}://run/ckpt-2::file://{archive}", {"w": 1})


def test_a_web_server_is_read_only(web_page):
    with pytest.raises(UnsupportedOperationError, match="http://"):
        put(web_page.store, web_page.key, b"data", IfAbsent())


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads: that is the test
def test_a_forked_child_reads_with_the_store_of_its_parent(web_page):
    """The loop of an asynchronous filesystem stays behind in the parent."""
    key = f"{web_page.key}.index"
    assert web_page.store.get(key)[0] == b"12345"
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if web_page.store.get(key)[0] == b"12345" else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert web_page.store.get(key)[0] == b"12345"


def test_what_wraps_a_filesystem_is_made_again_with_it(tmp_path):
    inner = fsspec.filesystem("http")
    outer = DirFileSystem("folder", fs=inner)
    again = made_again(outer)
    assert (type(again), again.path, type(again.fs)) == (DirFileSystem, "folder", type(inner))
    assert made_again(memory := MemoryFileSystem()) is memory


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


def test_a_time_is_the_same_version_in_whatever_form_it_comes() -> None:
    moment = datetime(2026, 5, 1, 12, 30, 15, 250000, tzinfo=UTC)
    assert (
        described("key", {"size": 1, "created": moment.timestamp()}).version
        == described("key", {"size": 1, "created": moment}).version
        == described("key", {"size": 1, "created": moment.replace(tzinfo=None)}).version
    )
