"""What programs run in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.programs.comparison import Both

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setenv("CLOUDCKPT_FSYNC", "0")
    # Files get the machine's time, whatever the programs see: so theirs begins there, too.
    return Both(tmp_path, float(int(time.time())), monkeypatch)
