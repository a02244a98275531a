"""Values that wait for objects which the program has not made yet."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.opened import TensorRequest
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    CheckpointVersionError,
    ObjectChangedError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from cloudckpt.storage.deadline import time_limit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.opened import OpenCheckpoint

__all__ = ["PendingValues", "Source", "readable"]


class Source:
    """Where a restore reads, now and later.

    Args:
        path: the checkpoint's, as the user wrote it.
        storage_options: options of the store, as fsspec takes them.
        timeout: seconds for each time; None for no limit.
    """

    def __init__(self, path: str, storage_options: Mapping[str, Any] | None, timeout: float | None) -> None:
        self.path, self.storage_options, self.timeout = path, storage_options, timeout

    def read_again(self, checkpoint: OpenCheckpoint, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """More tensors of a checkpoint that was open before, of the very save that it was.

        Raises:
            CheckpointNotFoundError: its files were deleted or replaced since.
            StorageError: the store failed.
        """
        with time_limit(self.timeout), open_prefix(self.path, self.storage_options) as prefix:
            reopened: OpenCheckpoint = replace(checkpoint, prefix=prefix)  # type: ignore[type-var]  # all are dataclasses
            try:
                return reopened.read_named(names)
            except (ObjectChangedError, ObjectNotFoundError, CheckpointDamagedError) as error:
                if reopened.is_current() and isinstance(error, CheckpointDamagedError):
                    raise
                raise CheckpointNotFoundError(
                    f"{prefix.url!r} was deleted or replaced since it was restored, and values that were left in it "
                    f"are wanted now ({error}): keep it until all objects are made, restore with keep_pending=True, or "
                    "restore again",
                    path=prefix.url,
                ) from error


class PendingValues:
    """What a restore has read for objects that may come yet, and where it reads the rest.

    Args:
        source: where.
        checkpoint: which save.
        kept: the values that are there already, by their keys.
    """

    def __init__(self, source: Source, checkpoint: OpenCheckpoint, kept: dict[str, NDArray[Any]]) -> None:
        self.checkpoint = checkpoint
        self._source, self._kept = source, kept

    @contextmanager
    def taken(self, keys: Collection[str]) -> Iterator[dict[str, NDArray[Any]]]:
        """Values by their keys, which are no longer kept here after the block, unless it raises.

        Raises:
            CheckpointNotFoundError: some were not kept, and the checkpoint is no longer there.
            CloudckptError: and what `OpenCheckpoint.read` raises.

        Cost: none for what is kept; a ranged GET for each run of neighbouring ones that are not.
        """
        missing = [key for key in keys if key not in self._kept]
        read = self._source.read_again(self.checkpoint, missing) if missing else {}
        yield {key: self._kept[key] if key in self._kept else read[key] for key in keys}
        for key in keys:
            self._kept.pop(key, None)

    def let_go(self) -> None:
        """Free the memory: what is wanted yet is read again."""
        self._kept.clear()


def readable(checkpoint: OpenCheckpoint, key: str) -> bool:
    """Whether the checkpoint says that it has a tensor, and one that an array can hold. No request."""
    if (tensor := checkpoint.tensors.get(key)) is None:
        return False
    try:
        checkpoint.region_of(TensorRequest(key), tensor)
    except (CheckpointVersionError, UnsupportedOperationError):
        return False
    return True
