"""The tensors of a checkpoint as they are to be saved once more elsewhere: mapped into memory, not copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.sources import bytes_of
from cloudckpt.checksums import crc32c
from cloudckpt.errors import ChecksumMismatchError
from cloudckpt.manager.directory.metrics_tensor import METRICS_TENSOR
from cloudckpt.manager.tiers.lineage import LINE_TENSOR, Version, content_of, opened
from cloudckpt.stored.mapped import MappedFiles

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from cloudckpt.checkpoint.bundle_reader import BundleCheckpoint
    from cloudckpt.storage.location import Location

__all__ = ["StoredTensors", "stored_tensors"]


@dataclass(frozen=True, slots=True)
class StoredTensors:
    """All tensors of a checkpoint but those that a tier adds. They stay when its files are deleted."""

    arrays: dict[str, NDArray[Any]]
    _mapped: Collection[str]
    _checkpoint: BundleCheckpoint

    def version(self, step: int) -> Version:
        """What tells it from others of its step."""
        return Version(step, content_of(self._checkpoint))

    def verify(self) -> None:
        """See that what is mapped has the bytes that were saved. Reads all of it.

        Raises:
            ChecksumMismatchError: a disk or its cache has changed them.
        """
        for name in self._mapped:
            if crc32c(bytes_of(self.arrays[name])) != self._checkpoint.place(name)[2]:
                url = self._checkpoint.prefix.url
                raise ChecksumMismatchError(
                    f"tensor {name!r} of {url!r} is damaged on the disk, so it is not sent on", path=url, tensor=name
                )


def stored_tensors(prefix: Location) -> StoredTensors:
    """The tensors of a checkpoint. Where its store has no files, and those that can't be mapped, they are read.

    Raises:
        CheckpointNotFoundError, CheckpointDamagedError: there is none, or it is not whole.
        StorageError: the store failed.
    """
    checkpoint = opened(prefix, None)
    names = [name for name in checkpoint.tensors if name not in (LINE_TENSOR, METRICS_TENSOR)]
    mapped: dict[str, NDArray[Any]] = {}
    if prefix.store.capabilities.local_files:
        files = MappedFiles(checkpoint)
        mapped = {name: array for name in names if (array := files.array(name)) is not None}
    arrays = mapped | checkpoint.read_named(name for name in names if name not in mapped)
    return StoredTensors({name: arrays[name] for name in names}, mapped.keys(), checkpoint)
