"""Many paths through few stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt.state import places
from cloudckpt.state.places import Places, SaveDirectory
from cloudckpt.storage.open import open_location

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were opened."""
    paths: list[str] = []

    def recorded(path: str, options: Any) -> Any:
        paths.append(path)
        return open_location(path, options)

    monkeypatch.setattr(places, "open_location", recorded)
    return paths


def test_paths_of_one_bucket_share_a_store(opened: list[str]) -> None:
    with Places(None) as found:
        locations = [found.at(path) for path in ("memory://run/m-1", "memory://run/m-2", "memory://other/m-1/")]
    assert [location.key for location in locations] == ["run/m-1", "run/m-2", "other/m-1"]
    assert [location.url for location in locations] == ["memory://run/m-1", "memory://run/m-2", "memory://other/m-1"]
    assert opened == ["memory://run/m-1"]


def test_a_directory_that_is_open_is_used(opened: list[str]) -> None:
    with open_location("memory://run/m-1") as prefix:
        directory = SaveDirectory.of("memory://run/m-1", prefix)
        with Places(None, directory) as found:
            assert found.at("memory://run/m-2").store is prefix.store
    assert (directory.path, directory.location.key, opened) == ("memory://run", "run", [])


@pytest.mark.parametrize(
    ("save_path", "path", "url"),
    [("{}/run/m-1", "{}/run", "{}/run"), ("run/m-1", "run", "{}/run"), ("m-1", "", "{}"), ("/m-1", "/", "/")],
)
def test_the_directory_of_a_local_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_path: str, path: str, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_path = save_path.format(tmp_path)
    with open_location(save_path) as prefix:
        directory = SaveDirectory.of(save_path, prefix)
    assert (directory.path, directory.location.url) == (path.format(tmp_path), url.format(tmp_path))
    assert directory.location.child("checkpoint").key == f"{url.format(tmp_path).rstrip('/')}/checkpoint"


def test_local_paths_are_relative_to_where_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Places(None) as found:
        assert found.at("run/m-1").key == f"{tmp_path}/run/m-1"
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
        assert found.at("run/m-1").key == f"{tmp_path}/below/run/m-1"
