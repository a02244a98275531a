"""TensorFlow-compatible checkpoints, written straight to object stores and local disks, without TensorFlow."""

from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CheckpointPathError,
    CheckpointVersionError,
    ChecksumMismatchError,
    CloudckptError,
    CommitConflictError,
    CommitError,
    CommitUnknownError,
    RecoveryWarning,
    SingleWriterWarning,
    StateFileError,
    StorageError,
    StructureError,
    TensorNotFoundError,
)
from cloudckpt.manager.checkpoint_manager import CheckpointManager
from cloudckpt.objects.load import load
from cloudckpt.objects.save import save
from cloudckpt.state.latest import latest_checkpoint

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
    "CommitUnknownError",
    "RecoveryWarning",
    "SingleWriterWarning",
    "StateFileError",
    "StorageError",
    "StructureError",
    "TensorNotFoundError",
    "latest_checkpoint",
    "load",
    "save",
]
