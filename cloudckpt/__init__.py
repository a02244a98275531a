"""TensorFlow-compatible checkpoints, written straight to object stores and local disks, without TensorFlow."""

import importlib
from typing import TYPE_CHECKING, Any

from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CheckpointPathError,
    CheckpointVersionError,
    ChecksumMismatchError,
    CloudckptError,
    CommitConflictError,
    CommitError,
    CommitTimeoutError,
    CommitUnknownError,
    InvalidArgumentError,
    InvalidSavePathError,
    RecoveryWarning,
    SingleWriterWarning,
    StateFileError,
    StorageError,
    StorageTimeoutError,
    StructureError,
    TensorNotFoundError,
)
from cloudckpt.garbage.collect import collect_garbage
from cloudckpt.garbage.report import GarbageReport
from cloudckpt.manager.checkpoint_manager import CheckpointManager
from cloudckpt.objects.trees.load import load
from cloudckpt.objects.trees.save import save
from cloudckpt.state.latest import latest_checkpoint
from cloudckpt.stored.checkpoint import StoredCheckpoint, open_checkpoint
from cloudckpt.stored.tensor import StoredTensor
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.variable import Variable
from cloudckpt.verification.report import VerifyReport
from cloudckpt.verification.verify import verify

if TYPE_CHECKING:
    from cloudckpt import compat, eager, raw_ops, train

__version__ = "0.1.0.dev0"

__all__ = [
    "CheckpointDamagedError",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "CheckpointPathError",
    "CheckpointVersionError",
    "ChecksumMismatchError",
    "CloudckptError",
    "CommitConflictError",
    "CommitError",
    "CommitTimeoutError",
    "CommitUnknownError",
    "GarbageReport",
    "Graph",
    "InvalidArgumentError",
    "InvalidSavePathError",
    "RecoveryWarning",
    "Session",
    "SingleWriterWarning",
    "StateFileError",
    "StorageError",
    "StorageTimeoutError",
    "StoredCheckpoint",
    "StoredTensor",
    "StructureError",
    "TensorNotFoundError",
    "Variable",
    "VerifyReport",
    "collect_garbage",
    "compat",
    "eager",
    "latest_checkpoint",
    "load",
    "open_checkpoint",
    "raw_ops",
    "save",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The doors with TensorFlow's names, when they are first asked for: together they take longer than all the rest."""
    if name in {"compat", "eager", "raw_ops", "train"}:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
