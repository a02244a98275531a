"""On a store that can't tell two writers apart, a file is replaced only by who says that there is no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cloudckpt import raw_ops
from cloudckpt.errors import UnsupportedOperationError
from cloudckpt.storage.local.store import LocalStore
from tests.ops.misuses import Ops, floats, merge, save_v1, save_v2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def one_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local disks can't tell two writers apart any more."""
    found = LocalStore().capabilities
    monkeypatch.setattr(LocalStore, "capabilities", replace(found, replace_if_version=False))


class Unsafe:
    """The ops with `unsafe_overwrite=True`."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **arguments: getattr(raw_ops, name)(**arguments, unsafe_overwrite=True)


def merge_two(ops: Ops, path: str) -> None:
    for name in ("0", "1"):
        save_v2([f"a{name}"], [""], [floats(2)])(Unsafe(), f"{path}-{name}")
    merge("0", "1")(ops, path)


@pytest.mark.parametrize("save", [save_v2(), save_v1(), merge_two], ids=["SaveV2", "Save", "MergeV2Checkpoints"])
def test_replacing(tmp_path: Path, save: Callable[[Ops, str], object]) -> None:
    path = str(tmp_path / "ckpt")
    save(raw_ops, path)
    with pytest.raises(UnsupportedOperationError, match="unsafe_overwrite"):
        save(raw_ops, path)
    save(Unsafe(), path)
