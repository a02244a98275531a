"""TensorFlow-compatible checkpoints, written straight to object stores and local disks, without TensorFlow."""

from cloudckpt import raw_ops, train
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
from cloudckpt.objects.load import load
from cloudckpt.objects.save import save
from cloudckpt.state.latest import latest_checkpoint
from cloudckpt.stored.checkpoint import StoredCheckpoint, open_checkpoint
from cloudckpt.stored.tensor import StoredTensor
from cloudckpt.verification.report import VerifyReport
from cloudckpt.verification.verify import verify

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
    "InvalidArgumentError",
    "RecoveryWarning",
    "SingleWriterWarning",
    "StateFileError",
    "StorageError",
    "StorageTimeoutError",
    "StoredCheckpoint",
    "StoredTensor",
    "StructureError",
    "TensorNotFoundError",
    "VerifyReport",
    "collect_garbage",
    "latest_checkpoint",
    "load",
    "open_checkpoint",
    "raw_ops",
    "save",
    "train",
    "verify",
]
