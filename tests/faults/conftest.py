"""The stores that fail here, and small parts, so that a small save has several."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from cloudckpt.checkpoint import read
from cloudckpt.storage import memory
from cloudckpt.storage.local import upload as local_upload
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.open import Location, open_location

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few kilobytes are written and read in several parts."""
    monkeypatch.setattr(local_upload.LocalUpload, "part_size", 4096)
    monkeypatch.setattr(memory._MemoryUpload, "part_size", 4096)
    monkeypatch.setattr(read, "RANGE_BYTES", 4096)
    monkeypatch.setattr(read, "IN_ORDER_BYTES", 1024)


@pytest.fixture(params=["memory", "local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """A prefix with nothing there."""
    if request.param == "local":
        return Location(LocalStore(fsync=False), str(tmp_path / "run" / "ckpt"))
    return open_location(f"memory://{uuid.uuid4().hex}/ckpt")
