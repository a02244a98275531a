"""From what a user calls a path to the store that holds it."""

from __future__ import annotations

import os
import re
import sys
import traceback
from pathlib import Path

import fsspec
import pytest
from crc32c import crc32c

from cloudckpt.errors import CheckpointPathError, InvalidArgumentError, StorageError
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.local.store import LocalStore
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
    assert location.store._attempts.max_seconds == 7.0
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


@pytest.mark.parametrize(
    "url", ["{}/run", "file://{}/run", "memory://run", "s3://bucket/run", "gs://bucket/run", "dir://run"]
)
def test_max_concurrency_is_that_of_the_store(url, tmp_path):
    options = {"s3": BUCKET_OPTIONS, "gs": {"token": "anon"}, "dir": {"path": "/", "target_protocol": "file"}}
    own = options.get(url.partition(":")[0], {})
    with open_location(url.format(tmp_path), {**own, "max_concurrency": 3}) as location:
        assert location.store.max_concurrency == 3
    with open_location(url.format(tmp_path), own) as location:
        store = location.store._store if isinstance(location.store, RetryingStore) else location.store
        assert location.store.max_concurrency == type(store).max_concurrency


@pytest.mark.parametrize(
    ("url", "options"), [("s3://bucket/run", BUCKET_OPTIONS), ("gs://bucket/run", {"token": "anon"}), ("dir://run", {})]
)
def test_part_size_is_that_of_the_uploads(url, options, tmp_path):
    given = options or {"path": str(tmp_path), "target_protocol": "file"}
    with open_location(url, {**given, "part_size": 8 << 20}) as location:
        assert location.store._store._part_size == 8 << 20


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("part_size", value) for value in (0, -1, 1.5, "8 MiB", True)),
        *(("max_concurrency", value) for value in (0, -1, 2.0, "many", False)),
        *(("max_retry_seconds", value) for value in (-1, float("nan"), float("inf"), "long", True)),
    ],
)
@pytest.mark.parametrize("path", ["run", "s3://bucket/run", "dir://run"])
def test_an_option_of_ours_that_makes_no_sense(path, option, value):
    with pytest.raises(InvalidArgumentError, match=f"storage option {option} must be a .*, got {value!r}"):
        open_location(path, {option: value})


MISTYPED = [
    ("run", {"fsnc": "HUSH"}, "fsync"),
    ("file:///run", {"auto_mkdr": "HUSH"}, "auto_mkdir"),
    ("memory://run", {"max_concurency": "HUSH"}, "max_concurrency"),
    ("s3://bucket/run", {"secrt": "HUSH"}, "secret"),
    ("s3a://bucket/run", {"profle": "HUSH"}, "profile"),
    ("gs://bucket/run", {"tokn": "HUSH"}, "token"),
    ("gcs://bucket/run", {"part_sise": "HUSH"}, "part_size"),
    ("abfs://container/run", {"acount_name": "HUSH"}, "account_name"),
]


@pytest.mark.parametrize(("url", "options", "meant"), MISTYPED)
def test_a_mistyped_option_is_named_and_its_value_is_not(url, options, meant):
    (name,) = options
    with pytest.raises(InvalidArgumentError, match=f"there is no storage option '{name}': did you mean '{meant}'") as e:
        open_location(url, options)
    assert str(e.value).startswith(f"{url}: ")
    assert "HUSH" not in str(e.value)


def test_an_option_that_is_like_none_is_answered_with_those_that_are_known():
    with pytest.raises(InvalidArgumentError, match=r"'zzz': known are .*config_kwargs, .*max_retry_seconds"):
        open_location("s3://bucket/run", {"zzz": 1})


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://bucket/run", {"profile": None, "default_block_size": 5, "use_listings_cache": False}),
        ("gs://bucket/run", {"token": "anon", "requests_timeout": 5.0, "batch_size": 7}),
        ("abfs://container/run", {"account_name": "a", "anon": True, "managed_identity_client_id": "id"}),
        ("memory://run", {"global_store": True, "skip_instance_cache": True}),
        ("file:///run", {"auto_mkdir": True}),
        *((url, BUCKET_OPTIONS | {"token": "anon"}) for url in ("/run", "memory://run", "gs://bucket/run")),
    ],
)
def test_options_that_other_libraries_take_are_left_alone(url, options):
    """So are those of another store: some functions take several paths and one set of options."""
    with open_location(url, options) as location:
        assert location.key.endswith("run")


@pytest.mark.parametrize(
    "options", [{"client_kwargs": {"regoin_name": "HUSH"}}, {"config_kwargs": {"conect_timeout": "HUSH"}}]
)
def test_what_is_mistyped_inside_an_option_is_told(options):
    (name,) = next(iter(options.values()))
    with (
        open_location("s3://bucket/run", BUCKET_OPTIONS | options) as location,
        pytest.raises(StorageError, match=rf"^s3://bucket/.*{name}.*check storage_options") as failure,
    ):
        location.store.stat(location.key)
    assert "HUSH" not in str(failure.value)


def test_a_token_that_another_library_writes_into_its_error_is_not_shown(monkeypatch):
    """gcsfs asks about a token by its value, in a query."""

    secret = "HUSH"  # lines of this file are shown by a traceback, values are not

    def refused(*_, **__):
        raise ConnectionError(f"Max retries exceeded with url: /tokeninfo?access_token={secret} (Caused by nothing)")

    monkeypatch.setattr("google.auth.transport.requests.Request.__call__", refused)
    monkeypatch.setattr("requests.get", refused)
    with pytest.raises(StorageError, match=r"/tokeninfo\?… ") as failure:
        open_location("gs://bucket/run", {"token": secret})
    assert not re.search(rf"={secret}\b", "".join(traceback.format_exception(failure.value)))


@pytest.mark.parametrize(
    "url",
    [
        "az://user:HUSH@container/run",
        "abfss://container:HUSH@account.dfs.core.windows.net/run",
        "abfs://container/run?sv=1&sig=HUSH",
    ],
)
def test_credentials_in_a_url_of_azure_are_refused_and_not_shown(url):
    with pytest.raises(CheckpointPathError, match="account_key") as failure:
        open_location(url, {"account_name": "account", "account_key": "AAAA"})
    assert "HUSH" not in str(failure.value)
