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
from cloudckpt.manager.run import run
from cloudckpt.objects.trees.load import load
from cloudckpt.objects.trees.save import save
from cloudckpt.state.latest import latest_checkpoint
from cloudckpt.stored.checkpoint import StoredCheckpoint, open_checkpoint
from cloudckpt.stored.tensor import StoredTensor
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.sessions.session import Session
from cloudckpt.variables.trackable.module import Module
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.variable import Variable
from cloudckpt.verification.report import VerifyReport
from cloudckpt.verification.verify import verify

if TYPE_CHECKING:
    from cloudckpt import compat, eager, keep, preemption, raw_ops, reports, train

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
    "Module",
    "NoDependency",
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
    "Trackable",
    "Variable",
    "VerifyReport",
    "collect_garbage",
    "compat",
    "eager",
    "keep",
    "latest_checkpoint",
    "load",
    "open_checkpoint",
    "preemption",
    "raw_ops",
    "reports",
    "run",
    "save",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The doors behind this one, when they are first asked for: together they take longer than all the rest."""
    if name in {"compat", "eager", "keep", "preemption", "raw_ops", "reports", "train"}:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
