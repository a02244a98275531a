"""What these tests get: a place on every store, or in memory; a directory with some steps."""

from __future__ import annotations

import pytest

from tests.manager.runs import MemoryRun, tree
from tests.state.places import memory, place

__all__ = ["memory", "place", "run"]


@pytest.fixture
def run() -> MemoryRun:
    """A directory with the steps 10, 20 and 30."""
    run = MemoryRun()
    with run.manager() as manager:
        for step in (10, 20, 30):
            manager.save(step, tree(step))
    return run
