"""Stores that other distributions bring by entry point: found, handed what the user gave, and blamed when broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cloudckpt.errors import CheckpointNotFoundError, CheckpointPathError, PermissionDeniedError, StorageError
from cloudckpt.storage import plugins
from cloudckpt.storage.location import Location
from cloudckpt.storage.memory import MemoryStore
from cloudckpt.storage.open import open_location
from cloudckpt.storage.retry import RetryingStore

MODULE = """
import fsspec
from cloudckpt import errors
from cloudckpt.storage.location import Location
from cloudckpt.storage.memory import MemoryStore

calls = []

def working(url, storage_options):
    calls.append((url, dict(storage_options)))
    storage_options.clear()
    return Location(MemoryStore(fsspec.filesystem("memory")), url.partition("://")[2])

def refusing(url, storage_options):
    raise errors.PermissionDeniedError("no key, no access")

def raising(url, storage_options):
    raise RuntimeError(f"no answer from {url}")

def none(url, storage_options):
    return None

def no_store(url, storage_options):
    return Location("a store", "key")

not_callable = 7
"""


class Site:
    """A folder on the path into which distributions are put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, **stores: str) -> None:
        """Put a distribution there that claims protocols, each for an object of its one module."""
        metadata = self.folder / f"{name}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"{protocol} = {value}" for protocol, value in stores.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[cloudckpt.stores]", *lines, ""]))
        (self.folder / f"{name}.py").write_text(MODULE)
        plugins.plugins.cache_clear()


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.plugins.cache_clear()
    yield Site(tmp_path)
    plugins.plugins.cache_clear()


def test_its_callable_is_given_the_url_and_all_options(site):
    site.install("attic", attic="attic:working")
    options = {"room": 7, "max_retry_seconds": 3, "part_size": 1}
    with open_location("attic://bucket/run", options) as location:
        assert isinstance(location.store, MemoryStore)
        assert location.key == "bucket/run"
    from attic import calls

    assert calls == [("attic://bucket/run", options)]
    assert options == {"room": 7, "max_retry_seconds": 3, "part_size": 1}  # its own copy was emptied, not the user's


def test_a_protocol_that_fsspec_knows_goes_to_it_first(site):
    site.install("better", sftp="better:working")
    with open_location("sftp://host/run") as location:
        assert isinstance(location.store, MemoryStore)


@pytest.mark.parametrize("protocol", ["s3", "s3a", "gs", "gcs", "memory", "file", "local"])
def test_our_own_protocols_stay_ours(site, protocol, tmp_path):
    site.install("thief", **{protocol: "thief:raising"})
    path = str(tmp_path) if protocol in {"file", "local"} else "/bucket/run"
    options = {"token": "anon"} if protocol in {"gs", "gcs"} else {}
    with open_location(f"{protocol}://{path.removeprefix('/')}", options) as location:
        assert isinstance(location, Location)


def test_chained_urls_are_fsspecs(site):
    site.install("attic", attic="attic:working", simplecache="attic:raising")
    with open_location("simplecache::memory://run/ckpt") as location:
        assert isinstance(location.store, RetryingStore)
    with pytest.raises(CheckpointPathError, match="'attic' is unknown"):
        open_location("simplecache::attic://bucket/run")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nothing_of_the_kind:working", "ModuleNotFoundError"),
        ("broken:missing", "AttributeError"),
        ("broken:not_callable", "TypeError"),
        ("broken:raising", "RuntimeError: no answer from attic://host/run"),
        ("broken:none", "not NoneType"),
        ("broken:no_store", "must give a cloudckpt.storage.location.Location with a Store"),
    ],
)
def test_one_that_is_broken_is_named(site, value, reason):
    site.install("broken", attic=value)
    with pytest.raises(StorageError) as failure:
        open_location("attic://user:hunter2@host/run")
    message = str(failure.value)
    assert reason in message
    assert f"of broken 1.2 ({value})" in message
    assert message.startswith("attic://host/run: ")
    assert "hunter2" not in message


def test_its_own_errors_of_our_tree_are_left_as_they_are(site):
    site.install("strict", attic="strict:refusing")
    with pytest.raises(PermissionDeniedError, match=r"^no key, no access$"):
        open_location("attic://bucket/run")


def test_a_protocol_that_two_claim_is_refused(site):
    site.install("one", attic="one:working")
    site.install("two", attic="two:working")
    with pytest.raises(StorageError, match=r"attic:// is claimed by one 1\.2, two 1\.2: uninstall all but one"):
        open_location("attic://bucket/run")


def test_a_distribution_that_is_on_the_path_twice_is_one(site, monkeypatch):
    site.install("attic", attic="attic:working")
    again = Site(site.folder / "again")
    again.folder.mkdir()
    again.install("attic", attic="attic:working")
    monkeypatch.syspath_prepend(str(again.folder))
    plugins.plugins.cache_clear()
    with open_location("attic://bucket/run") as location:
        assert location.key == "bucket/run"


def test_a_path_that_pathlib_has_shortened_is_recognised(site):
    site.install("attic", attic="attic:working")
    with pytest.raises(CheckpointPathError, match="attic://…"):
        open_location(Path("attic://bucket/run"))


def test_everything_opens_it(site):
    import cloudckpt as ckpt

    site.install("attic", attic="attic:working")
    prefix = "attic://bucket/everything/ckpt-1"
    with pytest.raises(CheckpointNotFoundError):
        ckpt.load(prefix)
    ckpt.save(prefix, {"w": np.arange(3)})
    np.testing.assert_array_equal(ckpt.load(prefix)["w"], np.arange(3))
