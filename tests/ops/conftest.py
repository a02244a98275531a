"""The stores that every test of the ops runs on."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.ops.places import Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["local", "memory", "minio", "fake_gcs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A fresh place on a local disk, in memory, on MinIO (S3) and on fake-gcs-server (GCS)."""
    if request.param == "local":
        return Place(str(tmp_path))
    if request.param == "memory":
        return Place(f"memory://test-{uuid.uuid4().hex}")
    server = request.getfixturevalue(request.param)
    return Place(server.fresh_url(), server.storage_options)
