"""Savers on every store: what is saved is restored, replaced in one step where the store can, and retired."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from cloudckpt.errors import UnsupportedOperationError
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.state.latest import latest_checkpoint
from cloudckpt.storage.filesystem.store import FilesystemStore
from cloudckpt.storage.location import Location
from cloudckpt.storage.open import open_location
from cloudckpt.variables.sessions.session import Session
from tests.saver.graphs import session_with, stored, variable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import ObjectServer

Place = tuple[str, dict[str, Any]]
"""A directory's URL, and the options that open it."""


@pytest.fixture(params=["memory", "minio", "moto_s3", "fake_gcs"])
def place(request: pytest.FixtureRequest) -> Place:
    """A directory on each of the stores in turn."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/run", {}
    server: ObjectServer = request.getfixturevalue(request.param)
    return server.fresh_url(), server.storage_options


def names(place: Place) -> set[str]:
    with open_location(place[0], place[1]) as folder:
        return {info.key.rpartition("/")[2] for info in folder.store.list(f"{folder.key}/")}


def test_a_job_saves_retires_and_goes_on(place: Place) -> None:
    url, options = place
    with session_with(w=[1.0, 2.0], step=0.0) as (session, variables):
        saver = Saver(max_to_keep=2, storage_options=options)
        for step in (1, 2, 3):
            session.run(variables["step"].assign(float(step)))
            assert saver.save(session, f"{url}/model", global_step=step) == f"{url}/model-{step}"
        assert saver.last_checkpoints == [f"{url}/model-2", f"{url}/model-3"]
        kept = {f"model-{step}.{ending}" for step in (2, 3) for ending in ("data-00000-of-00001", "index", "meta")}
        assert names(place) == {"checkpoint", *kept}
        latest = latest_checkpoint(url, storage_options=options)
        assert latest == f"{url}/model-3"
        fresh = Session()
        saver.restore(fresh, latest)
        assert fresh.run(variables["step"]) == 3.0
        again = Saver(max_to_keep=2, storage_options=options)
        again.recover_last_checkpoints([f"{url}/model-1", f"{url}/model-2", f"{url}/model-3"])
        assert again.last_checkpoints == saver.last_checkpoints


def test_a_checkpoint_is_replaced(place: Place) -> None:
    url, options = place
    w = variable("w", 1.0)
    saver = Saver([w], storage_options=options)
    for value in (1.0, 2.0):
        w.assign(value)
        saver.save(None, f"{url}/model")
    w.assign(0.0)
    saver.restore(None, f"{url}/model")
    assert w.numpy() == 2.0
    assert len(names(place)) == 3


@pytest.mark.parametrize("version", [SaverDef.V1, SaverDef.V2])
def test_shards(place: Place, version: int) -> None:
    url, options = place
    variables = [variable(f"w{number}", float(number), device=f"/device:CPU:{number}") for number in range(3)]
    saver = Saver(variables, sharded=True, write_version=version, storage_options=options)
    path = saver.save(None, f"{url}/model")
    found: dict[str, Any] = {}
    saver.restore(found, path)
    np.testing.assert_equal(found, {f"w{number}": np.float32(number) for number in range(3)})
    assert len([name for name in names(place) if name.startswith("model")]) == (3 if version == SaverDef.V1 else 4)


def test_export_meta_graph_goes_to_the_store(place: Place) -> None:
    url, options = place
    with session_with(w=1.0):
        Saver(storage_options=options).export_meta_graph(f"{url}/graph.meta")
    assert names(place) == {"graph.meta"}


@pytest.mark.filterwarnings("ignore::cloudckpt.errors.SingleWriterWarning")
def test_unsafe_overwrite_on_a_store_without_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: str, _options: Any) -> Location:
        return Location(FilesystemStore(DirFileSystem(path=str(tmp_path), fs=LocalFileSystem())), path)

    monkeypatch.setattr("cloudckpt.saver.saver.open_prefix", opened)
    w = variable("w", 1.0)
    Saver([w]).save(None, "model")
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite"):
        Saver([w]).save(None, "model")
    w.assign(2.0)
    Saver([w], unsafe_overwrite=True).save(None, "model")
    assert stored(tmp_path / "model") == {"w": 2.0}
