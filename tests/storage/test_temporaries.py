"""Hidden names tell what they were to be."""

from __future__ import annotations

import pytest

from cloudckpt.storage.temporaries import completed_name, is_temporary, temporary_name


@pytest.mark.parametrize("name", ["ckpt-1.index", "checkpoint", "a.b.c", "ü", "x" * 200])
def test_a_name_comes_back(name: str) -> None:
    hidden = temporary_name(name)
    assert is_temporary(hidden)
    assert completed_name(hidden) == name


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_long_name_keeps_its_beginning_and_its_end(letter: str) -> None:
    hidden = temporary_name(letter * 120 * (2 if letter == "x" else 1) + ".data-00000-of-00001")
    completed = completed_name(hidden)
    assert completed is not None
    assert completed.startswith(letter * 80)
    assert completed.endswith(".data-00000-of-00001")
    assert len(hidden.encode()) <= 255


@pytest.mark.parametrize(
    "name",
    [
        "ckpt-1.index",
        ".ckpt-1.index.cloudckpt",
        ".x.0123456789ABCDEF.cloudckpt",
        ".x.0123456789abcdef.tmp",
        ".rsync.a1B2c3",
    ],
)
def test_other_names(name: str) -> None:
    assert completed_name(name) is None
    assert not is_temporary(name)
