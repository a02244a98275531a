"""What is wrong with a call is said before anything is written, naming the tensor and the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudckpt import raw_ops
from cloudckpt.errors import CloudckptError
from tests.ops.misuses import CASES, IDS, TABLES, Misuse

if TYPE_CHECKING:
    from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("table", "misuse"), CASES, ids=IDS)
def test_a_misuse_is_refused_and_leaves_everything_as_it_was(table: str, misuse: Misuse, tmp_path: Path) -> None:
    path = str(tmp_path / "ckpt")
    TABLES[table][0](raw_ops, path)
    before = contents(tmp_path)
    with pytest.raises(misuse.ours) as caught:
        misuse.call(raw_ops, path)
    assert contents(tmp_path) == before
    if misuse.tensor is not None:
        assert repr(misuse.tensor) in str(caught.value)
    if misuse.tensor is not None and isinstance(caught.value, CloudckptError):
        assert (caught.value.path or "").startswith(path)
        assert path in str(caught.value)
        assert caught.value.tensor == misuse.tensor
