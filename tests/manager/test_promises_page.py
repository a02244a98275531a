"""The page of the promises names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
NAMED = re.findall(r"`(tests/[\w./]+)(?:::(\w+))?`", (REPOSITORY / "docs/reference/promises.md").read_text())


def test_it_names_some() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_it_exists(file: str, name: str) -> None:
    assert (REPOSITORY / file).exists()
    assert not name or f"def {name}(" in (REPOSITORY / file).read_text()
