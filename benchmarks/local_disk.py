"""A local disk: ours with and without fsync, TensorFlow's own operations, and the same bytes by plain system calls."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

import cloudckpt as ckpt
from benchmarks.measure import Contender, Plan, compete

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from benchmarks.measure import Arrays


def measure(plan: Plan, folder: Path) -> Table:
    """Save and restore on the disk that `folder` is on; what is restored is still in the page cache."""
    contenders = [ours(plan, fsync=True), ours(plan, fsync=False), tensorflow(plan), system_calls(plan)]
    return compete(f"Local disk ({folder})", contenders, plan, folder)


def ours(plan: Plan, *, fsync: bool) -> Contender:
    """Cloudckpt, with and without waiting for the disk."""
    options = {"fsync": fsync}
    return Contender(
        "cloudckpt" if fsync else "cloudckpt, fsync=False",
        lambda folder: ckpt.save(folder / "ckpt", plan.arrays, storage_options=options),
        lambda folder: ckpt.load(folder / "ckpt", storage_options=options),
    )


def tensorflow(plan: Plan) -> Contender:
    """TensorFlow's SaveV2 and RestoreV2, which never wait for the disk."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
    import tensorflow as tf

    names, whole = list(plan.arrays), [""] * len(plan.arrays)
    tensors = [tf.constant(array) for array in plan.arrays.values()]

    def save(folder: Path) -> None:
        tf.raw_ops.SaveV2(prefix=str(folder / "ckpt"), tensor_names=names, shape_and_slices=whole, tensors=tensors)

    def restore(folder: Path) -> dict[str, Any]:
        dtypes = [tensor.dtype for tensor in tensors]
        restored = tf.raw_ops.RestoreV2(
            prefix=str(folder / "ckpt"), tensor_names=names, shape_and_slices=whole, dtypes=dtypes
        )
        return {name: tensor.numpy() for name, tensor in zip(names, restored, strict=True)}

    return Contender("TensorFlow", save, restore)


def system_calls(plan: Plan) -> Contender:
    """One file written, flushed and read back by one thread: no checksums, no index."""

    def save(folder: Path) -> None:
        with (folder / "plain").open("wb", buffering=0) as file:
            for array in plan.arrays.values():
                rest = memoryview(array).cast("B")
                while rest:
                    rest = rest[file.write(rest) :]
            os.fsync(file.fileno())

    def restore(folder: Path) -> Arrays:
        arrays = {name: np.empty_like(array) for name, array in plan.arrays.items()}
        with (folder / "plain").open("rb", buffering=0) as file:
            for array in arrays.values():
                rest = memoryview(array).cast("B")
                while rest:
                    rest = rest[file.readinto(rest) :]
        return arrays

    return Contender("write, fsync; read", save, restore)
