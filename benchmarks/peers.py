"""Other libraries that keep checkpoints on a local disk, as many of them as are installed. None waits for the disk."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.measure import Plan

__all__ = ["ORBAX", "SAFETENSORS", "TENSORFLOW", "TORCH_DISTRIBUTED", "TORCH_SAVE", "installed", "is_installed"]


def tensorflow(plan: Plan) -> Contender:
    """TensorFlow's own operations, in C++."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
    import tensorflow as tf

    names, whole = list(plan.arrays), [""] * len(plan.arrays)
    tensors = [tf.constant(array) for array in plan.arrays.values()]
    dtypes = [tensor.dtype for tensor in tensors]

    def save(folder: Path) -> None:
        tf.raw_ops.SaveV2(prefix=str(folder / "ckpt"), tensor_names=names, shape_and_slices=whole, tensors=tensors)

    def restore(folder: Path) -> list[Any]:
        prefix = str(folder / "ckpt")
        restored: list[Any] = tf.raw_ops.RestoreV2(
            prefix=prefix, tensor_names=names, shape_and_slices=whole, dtypes=dtypes
        )
        return restored

    def arrays(restored: list[Any]) -> dict[str, Any]:
        return {name: tensor.numpy() for name, tensor in zip(names, restored, strict=True)}

    return Contender("TensorFlow", save, restore, arrays, durable=False)


def safetensors(plan: Plan) -> Contender:
    """One file; no checksums, nothing atomic."""
    from safetensors.numpy import load_file, save_file

    return Contender(
        "safetensors",
        lambda folder: save_file(dict(plan.arrays), folder / "state"),
        lambda folder: load_file(folder / "state"),
        durable=False,
    )


def torch_save(plan: Plan) -> Contender:
    """A zip file by pickle."""
    import torch

    state = {name: torch.from_numpy(array) for name, array in plan.arrays.items()}
    return Contender(
        "torch.save",
        lambda folder: torch.save(state, folder / "state"),
        lambda folder: torch.load(folder / "state", weights_only=True),
        torch_arrays,
        durable=False,
    )


def torch_distributed(plan: Plan) -> Contender:
    """PyTorch's distributed checkpoints, in one process. They load into tensors that are there."""
    import torch
    from torch.distributed import checkpoint

    state = {name: torch.from_numpy(array) for name, array in plan.arrays.items()}

    def restore(folder: Path) -> dict[str, Any]:
        into = {name: torch.empty_like(tensor) for name, tensor in state.items()}
        checkpoint.load(into, checkpoint_id=folder / "state", no_dist=True)
        return into

    return Contender(
        "torch DCP",
        lambda folder: checkpoint.save(state, checkpoint_id=folder / "state", no_dist=True),
        restore,
        torch_arrays,
        durable=False,
    )


def torch_arrays(restored: dict[str, Any]) -> dict[str, Any]:
    """NumPy's views of PyTorch's tensors."""
    return {name: tensor.numpy() for name, tensor in restored.items()}


def orbax(plan: Plan) -> Contender:
    """Orbax's default: OCDBT, compressed by zstd."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from orbax import checkpoint

    checkpointer = checkpoint.PyTreeCheckpointer()
    return Contender(
        "Orbax",
        lambda folder: checkpointer.save(folder / "state", dict(plan.arrays)),
        lambda folder: checkpointer.restore(folder / "state"),
        lambda restored: {name: np.asarray(array) for name, array in restored.items()},
        durable=False,
    )


def is_installed(module: str) -> bool:
    """Whether a package is there; it is not imported."""
    return importlib.util.find_spec(module) is not None


def installed(
    plan: Plan, peers: Sequence[tuple[str, str, Callable[[Plan], Contender]]]
) -> tuple[list[Contender], list[str]]:
    """The contenders whose package is there, and the names of the others."""
    there = [make(plan) for _, module, make in peers if is_installed(module)]
    return there, [name for name, module, _ in peers if not is_installed(module)]


TENSORFLOW = ("TensorFlow", "tensorflow", tensorflow)
SAFETENSORS = ("safetensors", "safetensors", safetensors)
TORCH_SAVE = ("torch.save", "torch", torch_save)
TORCH_DISTRIBUTED = ("torch DCP", "torch", torch_distributed)
ORBAX = ("Orbax", "orbax", orbax)
