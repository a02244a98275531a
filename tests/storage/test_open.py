"""From what a user calls a path to the store that holds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import fsspec
import pytest
from crc32c import crc32c

from cloudckpt.errors import CheckpointPathError, StorageError
from cloudckpt.storage.filesystem import FilesystemStore
from cloudckpt.storage.local import LocalStore
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.storage.store import Always
from cloudckpt.storage.urls import redacted

BUCKET_OPTIONS = {"key": "AKIDEXAMPLE", "secret": "hunter2", "endpoint_url": "http://127.0.0.1:1"}


def put(location, data=b"x"):
    location.store.put(location.key, data, Always(), crc32c=crc32c(data))


@pytest.mark.parametrize("as_path", [str, Path])
def test_local_paths_become_absolute(tmp_path, monkeypatch, as_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    cwd = os.getcwd()
    assert open_location(as_path("run/ckpt-1")).key == f"{cwd}/run/ckpt-1"
    assert open_location(as_path("./run/ckpt-1")).key == f"{cwd}/run/ckpt-1"
    assert open_location(as_path("/run//a/../ckpt-1")).key == "/run/ckpt-1"
    assert open_location(as_path("~/ckpt-1")).key == "/home/somebody/ckpt-1"
    assert open_location(as_path("a b%20c#d?e")).key == f"{cwd}/a b%20c#d?e"


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_local_urls(tmp_path, prefix, slash):
    with open_location(f"{prefix}{tmp_path}/run{slash}") as location:
        assert isinstance(location.store, LocalStore)
        assert location.key == location.url == f"{tmp_path}/run"


@pytest.mark.parametrize("slash", ["", "/"])
def test_memory_urls(slash):
    location = open_location(f"memory://bucket/run{slash}")
    assert isinstance(location.store, MemoryStore)
    assert (location.key, location.url) == ("bucket/run", "memory://bucket/run")


def test_children():
    location = open_location("memory://bucket/run")
    assert location.child("ckpt-1.index").url == "memory://bucket/run/ckpt-1.index"
    assert open_location("memory://").child("a").child("b").key == "a/b"
    assert open_location("/").child("a").key == "/a"


@pytest.mark.parametrize("scheme", ["s3", "s3a"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_s3_urls(scheme, slash):
    with open_location(f"{scheme}://bucket/run/ckpt-1{slash}", BUCKET_OPTIONS) as location:
        assert isinstance(location.store, RetryingStore)
        assert (location.key, location.url) == ("run/ckpt-1", "s3://bucket/run/ckpt-1")
        assert "hunter2" not in repr(location)


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_gcs_urls(scheme):
    with open_location(f"{scheme}://bucket/run/ckpt-1", {"token": "anon"}) as location:
        assert isinstance(location.store, RetryingStore)
        assert (location.key, location.url) == ("run/ckpt-1", "gs://bucket/run/ckpt-1")


def test_a_bucket_by_itself_is_a_folder():
    with open_location("s3://bucket", BUCKET_OPTIONS) as location:
        assert (location.key, location.child("ckpt-1").key) == ("", "ckpt-1")


def test_chained_urls_are_read_as_fsspec_reads_them(tmp_path):
    with open_location(f"simplecache::file://{tmp_path}/run/ckpt-1") as location:
        assert isinstance(location.store, RetryingStore)
        assert isinstance(location.store._store, FilesystemStore)
        assert location.url == f"simplecache::file://{tmp_path}/run/ckpt-1"
        put(location, b"data")
    assert (tmp_path / "run" / "ckpt-1").read_bytes() == b"data"


def test_other_filesystems_of_fsspec(tmp_path):
    with open_location("dir://run/ckpt-1", {"path": str(tmp_path), "target_protocol": "file"}) as location:
        put(location, b"data")
        assert location.child("x").url == "dir://run/ckpt-1/x"
    assert (tmp_path / "run" / "ckpt-1").read_bytes() == b"data"


def test_our_own_options_do_not_reach_fsspec(tmp_path):
    location = open_location("dir://x", {"path": str(tmp_path), "target_protocol": "file", "max_retry_seconds": 7})
    assert location.store._max_retry_seconds == 7.0
    assert not open_location(tmp_path, {"fsync": False}).store.capabilities.durable_on_return
    options = {"fsync": False, "max_retry_seconds": 1}
    open_location(tmp_path, options)
    assert options == {"fsync": False, "max_retry_seconds": 1}


@pytest.mark.parametrize(("value", "durable"), [(None, True), ("1", True), ("0", False)])
def test_the_environment_may_trade_durability(tmp_path, monkeypatch, value, durable):
    monkeypatch.delenv("CLOUDCKPT_FSYNC", raising=False)
    if value is not None:
        monkeypatch.setenv("CLOUDCKPT_FSYNC", value)
    assert open_location(tmp_path).store.capabilities.durable_on_return is durable
    assert open_location(tmp_path, {"fsync": True}).store.capabilities.durable_on_return


@pytest.mark.parametrize(
    "path",
    ["", "a\0b", b"bytes", Path("s3://bucket/run"), "s3:/bucket/run", "nosuch://bucket/run", "s3://", "gs:///run"],
)
def test_what_names_no_place(path):
    with pytest.raises(CheckpointPathError) as failure:
        open_location(path)
    assert str(failure.value)


def test_what_is_no_path_at_all():
    with pytest.raises(TypeError):
        open_location(7)


@pytest.mark.parametrize("url", ["s3://AKIDEXAMPLE:hunter2@bucket/run", "gs://user:hunter2@bucket/run"])
def test_credentials_in_a_bucket_url_are_refused_and_not_shown(url):
    with pytest.raises(CheckpointPathError, match="storage_options") as failure:
        open_location(url)
    assert "hunter2" not in str(failure.value)
    assert "hunter2" not in str(failure.value.path)
    assert failure.value.__cause__ is None


def test_credentials_in_other_urls_are_not_shown():
    with open_location("http://user:hunter2@localhost/run/ckpt?token=abc") as location:
        assert location.url == "http://localhost/run/ckpt?…"


def test_a_login_that_fails_shows_no_credentials():
    with pytest.raises(StorageError) as failure:
        open_location("ftp://user:hunter2@127.0.0.1:1/run")
    assert "hunter2" not in str(failure.value)
    assert "ftp://127.0.0.1:1/run" in str(failure.value)


@pytest.mark.parametrize(("url", "package", "extra"), [("s3://b/k", "s3fs", "s3"), ("gs://b/k", "gcsfs", "gcs")])
def test_a_missing_integration_says_what_to_install(monkeypatch, url, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, url[:2], raising=False)
    with pytest.raises(StorageError, match=rf"pip install 'cloudckpt\[{extra}\]'"):
        open_location(url)


def test_locations_are_values():
    store = MemoryStore(fsspec.filesystem("memory"))
    assert Location(store, "a") == Location(store, "a")
    with pytest.raises(AttributeError):
        Location(store, "a").key = "b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:secret@bucket/k", "s3://bucket/k"),
        ("simplecache::sftp://u:p@host:22/k", "simplecache::sftp://host:22/k"),
        ("https://h/k?X-Amz-Signature=abc&X=1", "https://h/k?…"),
        ("s3://bucket/user@host/k", "s3://bucket/user@host/k"),
        ("s3://bucket/what?really", "s3://bucket/what?really"),
        ("/local/a@b:c?d=e", "/local/a@b:c?d=e"),
        ("failed: GET http://u:p@h/x?sig=1 and s3://k:s@b/y", "failed: GET http://h/x?… and s3://b/y"),
    ],
)
def test_redaction(text, shown):
    assert redacted(text) == shown
