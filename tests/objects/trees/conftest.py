"""Where the trees of these tests are saved."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["local", "memory"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A checkpoint's prefix with nothing there yet."""
    return str(tmp_path / "run" / "ckpt") if request.param == "local" else f"memory://{uuid.uuid4().hex}/ckpt"
