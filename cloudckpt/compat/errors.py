"""What `tensorflow.errors` calls the errors that savers and readers raise, for programs that catch them.

A variable that is not initialized is a wrong argument here, where TensorFlow calls it a failed precondition.
`OutOfRangeError` is not among them: programs take it for the end of their data.
"""

from cloudckpt.errors import CheckpointDamagedError as DataLossError
from cloudckpt.errors import CloudckptError as OpError
from cloudckpt.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError
from cloudckpt.errors import InvalidArgumentError as FailedPreconditionError
from cloudckpt.errors import StorageTimeoutError as DeadlineExceededError
from cloudckpt.errors import TransientStorageError as UnavailableError
from cloudckpt.errors import UnsupportedOperationError as UnimplementedError

__all__ = [
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpError",
    "PermissionDeniedError",
    "UnavailableError",
    "UnimplementedError",
]
