"""The example of a store outside the package: found by its entry point, it keeps the contract and every promise."""

from __future__ import annotations

import sqlite3
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.errors import TransientStorageError
from cloudckpt.storage import plugins
from cloudckpt.storage.open import open_location
from cloudckpt.storage.retry import RetryingStore
from cloudckpt.testing import StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "sqlite_store"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The example on the path, with the metadata that installing it would put beside it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    site = tmp_path_factory.mktemp("site-packages")
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{left} = {right}\n" for left, right in own.items()) for group, own in groups]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.syspath_prepend(str(EXAMPLE))
        plugins.plugins.cache_clear()
        yield
    plugins.plugins.cache_clear()


class TestSQLiteStore(StoreContract):
    """The contract, as the author of a store would run it."""

    many_keys = 100  # each is a commit, flushed to the disk

    @pytest.fixture
    def location(self, tmp_path: Path) -> Iterator[Any]:
        with open_location(f"sqlite://{tmp_path}/runs.db/run") as location:
            yield location


def test_a_job_saves_and_restarts(tmp_path: Path) -> None:
    directory = f"sqlite://{tmp_path}/runs.db/run"
    for begin in (0, 3):
        with ckpt.CheckpointManager(directory, max_to_keep=2) as manager:
            state, step = manager.restore_latest(default=({"w": np.zeros(1000)}, 0))
            assert step == begin
            np.testing.assert_array_equal(state["w"], np.full(1000, float(begin)))
            for step in range(begin + 1, begin + 4):
                manager.save(step, {"w": np.full(1000, float(step))})
            assert manager.all_steps() == [begin + 2, begin + 3]


def test_it_chose_to_be_retried(tmp_path: Path) -> None:
    with open_location(f"sqlite://{tmp_path}/runs.db/run", {"max_retry_seconds": 7}) as location:
        assert isinstance(location.store, RetryingStore)


def test_a_locked_database_is_transient(tmp_path: Path) -> None:
    with open_location(f"sqlite://{tmp_path}/runs.db/run") as location:
        store = location.store._store  # type: ignore[attr-defined]  # the store behind the retries
        with pytest.raises(TransientStorageError, match="locked"), store._transaction("key"):
            raise sqlite3.OperationalError("database is locked")


def test_a_url_without_a_database_is_refused() -> None:
    with pytest.raises(ckpt.CheckpointPathError, match="names no database"):
        open_location("sqlite:///folder/run")
