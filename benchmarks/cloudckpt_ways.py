"""Ours: trees, and the operations with TensorFlow's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cloudckpt as ckpt
from benchmarks.measure import Contender
from cloudckpt import raw_ops

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Plan

__all__ = ["OURS", "OURS_UNSYNCED", "operations", "tree"]

OURS = "cloudckpt"
OURS_UNSYNCED = "cloudckpt, fsync=False"


def tree(plan: Plan, *, fsync: bool) -> Contender:
    """`save` and `load`, with or without waiting for the disk."""
    options = {"fsync": fsync}
    return Contender(
        OURS if fsync else OURS_UNSYNCED,
        lambda folder: ckpt.save(folder / "ckpt", plan.arrays, storage_options=options),
        lambda folder: ckpt.load(folder / "ckpt", storage_options=options),
        durable=fsync,
    )


def operations(plan: Plan) -> Contender:
    """Our `SaveV2` and `RestoreV2`, called exactly as TensorFlow's are."""
    names, whole = list(plan.arrays), [""] * len(plan.arrays)
    tensors = list(plan.arrays.values())
    options = {"fsync": False}

    def save(folder: Path) -> None:
        raw_ops.SaveV2(
            prefix=str(folder / "ckpt"),
            tensor_names=names,
            shape_and_slices=whole,
            tensors=tensors,
            storage_options=options,
        )

    def restore(folder: Path) -> list[Any]:
        return raw_ops.RestoreV2(
            prefix=str(folder / "ckpt"),
            tensor_names=names,
            shape_and_slices=whole,
            dtypes=[tensor.dtype for tensor in tensors],
            storage_options=options,
        )

    def arrays(restored: list[Any]) -> dict[str, Any]:
        return dict(zip(names, restored, strict=True))

    return Contender("cloudckpt.raw_ops, fsync=False", save, restore, arrays, durable=False)
